import Testing

@testable import Fuse

struct KernelOptionsTests {
    @Test func `a mount is nosuid, nodev and noexec unless asked otherwise`() {
        let options = KernelOptions(source: "zk1:2181,zk2:2181/app")

        #expect(
            options.text
                == #"fsname=zk1:2181\,zk2:2181/app,subtype=zkfs,nosuid,nodev,noexec,rw"#
        )
    }

    @Test func `others are let in only within the modes shown`() {
        let options = KernelOptions(
            source: "zk",
            isReadOnly: true,
            allowsExecution: true,
            access: .everyone
        )

        #expect(
            options.text
                == "fsname=zk,subtype=zkfs,nosuid,nodev,ro,allow_other,default_permissions"
        )
    }
}
