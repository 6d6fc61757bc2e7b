internal import ZooKeeperModel

/// What clients do beside the work of ``Workload``, on znodes that all of them share. Nothing is
/// expected of an answer here: ``AnswerChecker`` knows what each has to be.
///
/// - Families: children come and go, are listed and watched, now and then with their parent.
/// - Numbers: sequential znodes are deleted after a while, some of them are ephemeral.
/// - Vaults: each client has one that is closed to others in one way or another; everybody tries
///   all of them.
struct Errands: Sendable {
    let number: Int
    /// Sequential znodes of this client that are still there.
    private var numbers: [ZnodePath] = []

    init(number: Int) { self.number = number }

    static let clientLimit = 4

    static func address(_ client: Int) -> String { "10.0.0.\(client + 1)" }
    static func credential(_ client: Int) -> String { "client-\(client):secret" }

    mutating func next(_ random: inout SimulationRandom) -> Operation {
        switch random.below(10) {
        case 0..<5: family(&random)
        case 5, 6: sequence(&random)
        default: vault(&random)
        }
    }

    mutating func created(_ path: ZnodePath) { numbers.append(path) }

    /// Its sequential ephemerals are gone, and it remembers no others.
    mutating func forget() { numbers = [] }

    private func family(_ random: inout SimulationRandom) -> Operation {
        let parent = ZnodePath("/family-\(random.below(2))")
        let child = parent.appending("child-\(random.below(6))")
        switch random.below(17) {
        case 0: return .create(CreateRequest(path: parent, data: nil))
        case 1: return .delete(parent, version: -1)
        case 2, 3, 4, 5:
            return .create(
                CreateRequest(
                    kind: random.chance(1, in: 2) ? .create : .create2,
                    path: child,
                    data: Array("of \(number)".utf8),
                    mode: random.chance(1, in: 3) ? .ephemeral : .persistent
                )
            )
        case 6, 7, 8: return .delete(child, version: -1)
        case 9, 10, 11: return .getChildren2(parent, watch: true)
        case 12: return .getChildren(parent, watch: true)
        case 13: return .exists(parent, watch: random.chance(1, in: 2))
        case 14: return .exists(child, watch: true)
        case 15:
            // A child goes to the other family, or stays where it is.
            let other = ZnodePath("/family-0") == parent ? "/family-1" : "/family-0"
            let name = Array(child.name)
            return .multi([
                .delete(child, version: -1),
                .create(
                    CreateRequest(
                        kind: .create,
                        path: ZnodePath(other).appending(name),
                        data: nil
                    )
                ),
            ])
        default: return .getData(child, watch: true)
        }
    }

    private mutating func sequence(_ random: inout SimulationRandom) -> Operation {
        if numbers.count > 3 || !numbers.isEmpty && random.chance(1, in: 2) {
            return .delete(numbers.remove(at: random.below(numbers.count)), version: -1)
        }
        return .create(
            CreateRequest(
                path: "/family-0/number-",
                data: nil,
                mode: random.chance(1, in: 2) ? .ephemeralSequential : .persistentSequential
            )
        )
    }

    private func vault(_ random: inout SimulationRandom) -> Operation {
        let owner = random.chance(1, in: 2) ? number : random.below(Self.clientLimit)
        let path = ZnodePath("/vault-\(owner)")
        switch random.below(10) {
        case 0, 1:
            return owner == number
                ? .create(CreateRequest(path: path, data: nil, acl: .creator))
                : .create(CreateRequest(path: path.appending("child"), data: nil))
        case 2: return .setACL(path, acl: list(&random), version: -1)
        case 3: return .delete(path.appending("child"), version: -1)
        case 4: return .create(CreateRequest(path: path.appending("child"), data: nil))
        case 5: return .getACL(path)
        case 6, 7: return .getData(path, watch: false)
        case 8: return .getChildren2(path, watch: false)
        default: return .setData(path, data: Array("of \(number)".utf8), version: -1)
        }
    }

    /// Always with all rights for whoever asks, so that a vault stays in its owner's hands.
    private func list(_ random: inout SimulationRandom) -> [ACL] {
        let own = [ACL].creator
        let other = random.below(Self.clientLimit)
        switch random.below(4) {
        case 0: return own
        case 1: return own + [ACL(permissions: .read, identity: .anyone)]
        case 2:
            let identity = Identity(scheme: "ip", id: Self.address(other))
            return own + [ACL(permissions: [.read, .create], identity: identity)]
        default:
            return own + [
                ACL(
                    permissions: [.read, .write],
                    identity: Self.identities(other)[1]
                )
            ]
        }
    }

    /// What servers know of a client: the simulation's digest of a credential is the credential.
    static func identities(_ client: Int) -> [Identity] {
        [
            Identity(scheme: "ip", id: address(client)),
            Identity(
                scheme: "digest",
                id: "client-\(client):" + base64(Array(credential(client).utf8))
            ),
        ]
    }

    private static func base64(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        var text = ""
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var bits = 0
            for byte in group { bits = bits << 8 | Int(byte) }
            bits <<= 8 * (3 - group.count)
            for position in 0..<4 {
                text.append(
                    position <= group.count ? alphabet[bits >> (18 - 6 * position) & 63] : "="
                )
            }
        }
        return text
    }
}
