import ClientCore
import Foundation
import Fuse
import Testing
import ZooKeeperModel

@testable import zkfs

struct CredentialsTests {
    private func withFile(
        _ text: String,
        mode: Int = 0o600,
        _ body: (String) throws -> Void
    ) throws {
        let path = NSTemporaryDirectory() + "zkfs-credentials-\(UInt64.random(in: 0...(.max)))"
        try #require(
            FileManager.default.createFile(
                atPath: path,
                contents: Data(text.utf8),
                attributes: [.posixPermissions: mode]
            )
        )
        defer { try? FileManager.default.removeItem(atPath: path) }
        try body(path)
    }

    @Test func `each line is a credential, and a digest is known by its hash`() throws {
        try withFile("# who we are\n\ndigest:bob:secret:word\r\nsasl:x\n") { path in
            let credentials = try Credentials(file: path)

            #expect(credentials.presented.map(\.scheme) == ["digest", "sasl"])
            #expect(credentials.presented[0].bytes == Array("bob:secret:word".utf8))
            #expect(
                credentials.identities == [
                    Identity(scheme: "digest", id: "bob:t1bIRxY9XZh4uKiP+LaqzHOdz4E=")
                ]
            )
        }
    }

    @Test(arguments: [0o640, 0o604, 0o700, 0o660, 0o4600])
    func `a file that others may use is refused`(mode: Int) throws {
        try withFile("digest:a:b", mode: mode) { path in
            #expect(
                throws: MountFailure("\(path) is open to others: its mode may be 0600 at most")
            ) { try Credentials(file: path) }
        }
    }

    @Test func `a link to a good file is refused`() throws {
        try withFile("digest:a:b") { path in
            let link = path + "-link"
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: path)
            defer { try? FileManager.default.removeItem(atPath: link) }
            #expect(throws: MountFailure("\(link) is a symbolic link")) {
                try Credentials(file: link)
            }
        }
    }

    @Test func `a complaint names the line and never what stands in it`() throws {
        try withFile("digest:a:b\nhush\n") { path in
            #expect(throws: MountFailure("\(path), line 2: not scheme:credential")) {
                try Credentials(file: path)
            }
        }
    }

    @Test func `a file without any credential is refused`() throws {
        try withFile("# nothing\n") { path in
            #expect(throws: MountFailure("\(path) holds no credential")) {
                try Credentials(file: path)
            }
        }
    }
}
