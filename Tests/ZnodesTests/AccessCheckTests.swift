import Testing
import ZooKeeperModel

@testable import Znodes

struct AccessCheckTests {
    static let user = Identity(scheme: "digest", id: "u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ=")
    static let local = Identity(scheme: "ip", id: "127.0.0.1")

    private func acl(_ scheme: String, _ id: String, _ permissions: Permissions = .all) -> [ACL] {
        [ACL(permissions: permissions, identity: Identity(scheme: scheme, id: id))]
    }

    @Test func `access goes by identity and by permission`() {
        let me = [Self.local, Self.user]
        #expect(AccessCheck.allows([], .write, identities: []))
        #expect(AccessCheck.allows(.open, .admin, identities: []))
        #expect(!AccessCheck.allows(acl("world", "anyone", .read), .write, identities: me))
        #expect(AccessCheck.allows(acl("digest", Self.user.id, .write), .write, identities: me))
        #expect(!AccessCheck.allows(acl("digest", Self.user.id, .read), .write, identities: me))
        #expect(!AccessCheck.allows(acl("digest", "u:other"), .read, identities: me))
        #expect(!AccessCheck.allows(acl("sasl", Self.user.id), .read, identities: me))
        #expect(AccessCheck.allows(acl("ip", "127.0.0.0/8"), .read, identities: me))
        #expect(!AccessCheck.allows(acl("ip", "10.0.0.0/8"), .read, identities: me))
        #expect(
            AccessCheck.allows(
                acl("digest", "u:other"),
                .admin,
                identities: [Identity(scheme: "super", id: "")]
            )
        )
        // Either of two permissions will do.
        #expect(
            AccessCheck.allows(acl("world", "anyone", .admin), [.read, .admin], identities: [])
        )
    }

    @Test(arguments: [
        ("10.0.0.0/8", "10.255.1.1", true), ("10.0.0.0/8", "11.0.0.1", false),
        ("10.1.2.3", "10.1.2.3", true), ("10.1.2.3", "10.1.2.4", false),
        ("0.0.0.0/0", "1.2.3.4", true), ("10.1.2.128/25", "10.1.2.200", true),
        ("10.1.2.128/25", "10.1.2.127", false), ("::1", "::1", true),
        ("2001:db8::/33", "2001:db8:7fff::1", true), ("2001:db8::/33", "2001:db8:8000::1", false),
        ("::/0", "fe80::1", true), ("::/0", "1.2.3.4", false),
        ("10.0.0.0/8", "::ffff:10.1.2.3", true), ("::ffff:10.0.0.0/104", "10.1.2.3", true),
        ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8", true), ("1::", "1:0:0:0:0:0:0:0", true),
    ])
    func `addresses match by their first bits`(prefix: String, address: String, matches: Bool) {
        let identities = [Identity(scheme: "ip", id: address)]
        #expect(AccessCheck.allows(acl("ip", prefix), .read, identities: identities) == matches)
    }

    @Test(arguments: [
        "", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.4/33", "1.2.3.4/", "1.2.3.4/-1", "a.b.c.d",
        "1.2.3.4/8/9", " 1.2.3.4", ":", ":::", "1:2:3:4:5:6:7", "1::2::3", "::/129", "12345::",
        ":1::2", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7::8", "g::", "1:2:", "::1:",
    ])
    func `what is no address is an invalid ACL`(id: String) {
        #expect(throws: ErrorCode.invalidACL) {
            try AccessCheck.fixedUp(acl("ip", id), identities: [])
        }
    }

    @Test(arguments: ["", "a", "a:", ":", "a:b:c", "a:b:c:"])
    func `a digest id has exactly two parts`(id: String) {
        #expect(throws: ErrorCode.invalidACL) {
            try AccessCheck.fixedUp(acl("digest", id), identities: [])
        }
    }

    @Test(arguments: ["a:b", ":b", "a:b:", "a:b::"])
    func `empty parts at the end of a digest id do not count`(id: String) throws {
        #expect(try AccessCheck.fixedUp(acl("digest", id), identities: []).count == 1)
    }

    @Test func `lists that cannot be stored are invalid`() {
        let lists: [[ACL]] = [
            [], acl("world", "someone"), acl("super", ""), acl("unknown", "x"), acl("auth", ""),
            .open + acl("unknown", "x"),
        ]
        for list in lists {
            #expect(throws: ErrorCode.invalidACL, "\(list)") {
                try AccessCheck.fixedUp(list, identities: [Self.local])
            }
        }
    }

    @Test func `auth stands for whoever has authenticated, and duplicates go`() throws {
        let other = Identity(scheme: "digest", id: "v:h")
        let list = acl("auth", "ignored", .read) + acl("digest", "v:h", .read) + .open + .open
        let stored = try AccessCheck.fixedUp(list, identities: [Self.local, Self.user, other])
        #expect(
            stored == [
                ACL(permissions: .read, identity: Self.user),
                ACL(permissions: .read, identity: other),
            ] + .open
        )
    }

    @Test func `password hashes show only to who may administer`() {
        let list =
            acl("digest", Self.user.id, .admin) + acl("world", "anyone", .read)
            + acl("digest", "x:y:z", .read) + acl("ip", "::1", .read)
        #expect(AccessCheck.masked(list, identities: [Self.user]) == list)
        #expect(
            AccessCheck.masked(list, identities: [Self.local]).map(\.identity.id)
                == ["u:x", "anyone", "x:x", "::1"]
        )
    }
}
