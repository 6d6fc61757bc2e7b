import Testing
import ZooKeeperModel

@testable import zkfs

struct MountOptionsTests {
    @Test func `options keep their defaults where nothing is said`() throws {
        let options = try MountOptions(["rw,defaults,_netdev,noauto,user,x-systemd.automount"])

        #expect(options == MountOptions())
    }

    @Test func `options come from every list and the last wins`() throws {
        let options = try MountOptions(["hold=5,ro,umask=077", "hold=1.5,mkchroot"])

        #expect(options.hold == .milliseconds(1500))
        #expect(options.isReadOnly)
        #expect(options.umask == 0o077)
        #expect(options.makesRoot)
    }

    @Test func `a comma inside of a value is escaped`() throws {
        let options = try MountOptions([#"acl=x509:CN=a\,O=b:rw;world:anyone:r,exec"#])

        #expect(
            options.acl == [
                ACL(
                    permissions: [.read, .write],
                    identity: Identity(scheme: "x509", id: "CN=a,O=b")
                ),
                ACL(permissions: .read, identity: .anyone),
            ]
        )
        #expect(options.allowsExecution)
    }

    @Test(arguments: [
        ("colour=red", "-o colour=red: there is no such option"),
        ("away=cached", "-o away= is not supported yet"),
        ("local=/hosts/%H", "-o local= is not supported yet"),
        ("suid", "-o suid: a zkfs mount is always nosuid and nodev"),
        ("umask=9", "-o umask=9: not an octal number up to 777"),
        ("uid=-1", "-o uid=-1: not a number"),
        ("hold=soon", "-o hold=soon: not a number of seconds between 0 and 86400"),
        ("hold=nan", "-o hold=nan: not a number of seconds between 0 and 86400"),
        ("facets=maybe", "-o facets=maybe: not one of off, on"),
        ("acl=world:anyone", "-o acl=world:anyone: world:anyone is not scheme:id:perms"),
        ("acl=world:anyone:q", "-o acl=world:anyone:q: q is none of the permissions c, d, r, w, a"),
        ("acl=creator", "acl=creator needs an identity: give auth=FILE too"),
        ("allow_other,allow_root", "allow_other and allow_root exclude each other"),
    ])
    func `what cannot be is refused with a sentence`(text: String, sentence: String) {
        #expect(throws: OptionError(sentence)) { try MountOptions([text]) }
    }
}
