# Sourced by scripts that install Debian packages.

# need_packages NAME REASON [NAME REASON]…: installs those that are missing, saying which and why.
need_packages() {
    local missing=() sudo=()
    while [ $# -gt 0 ]; do
        if ! dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; then
            echo "Missing: $1 ($2)."
            missing+=("$1")
        fi
        shift 2
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || {
            echo "Please install them as root: apt-get install ${missing[*]}" >&2
            return 1
        }
        sudo=(sudo)
    fi
    echo "Installing: ${missing[*]}"
    "${sudo[@]}" apt-get update -qq
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}
