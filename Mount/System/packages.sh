# Sourced by scripts that need Debian packages.

# as_root COMMAND…: runs it as root, through sudo where that is needed.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "This needs root, and there is no sudo. As root, run: $*" >&2
        return 1
    fi
}

# need_packages NAME REASON [NAME REASON]…: installs those that are missing, saying which and why.
need_packages() {
    local missing=()
    if ! command -v apt-get >/dev/null; then
        echo "This is no Debian or Ubuntu. Make sure that there is what these packages bring:"
        while [ $# -gt 0 ]; do
            echo "  $1: $2"
            shift 2
        done
        return 0
    fi
    while [ $# -gt 0 ]; do
        if [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" != installed ]; then
            echo "  missing: $1, $2"
            missing+=("$1")
        fi
        shift 2
    done
    if [ ${#missing[@]} = 0 ]; then
        echo "  nothing is missing"
        return 0
    fi
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
        echo "There is no sudo. As root, run: apt-get install ${missing[*]}" >&2
        return 1
    fi
    echo "  installing with apt-get: ${missing[*]}"
    as_root apt-get update -qq || return
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}
