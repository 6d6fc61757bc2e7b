import Foundation
import Testing

/// Servers on this machine that form one ensemble, ours and Apache's in any mixture.
final class Ensemble {
    let members: [ServerProcess]
    private let workspace: Workspace

    /// Starts them all and waits until all serve.
    init(
        _ kinds: [ServerProcess.Kind],
        in workspace: Workspace,
        observers: Set<Int> = [],
        extra: [String] = []
    ) throws {
        self.workspace = workspace
        var lines: [String] = ["initLimit=20", "syncLimit=8"]
        for number in 1...kinds.count {
            let role = observers.contains(number) ? "observer" : "participant"
            lines.append(
                "server.\(number)=127.0.0.1:\(try Workspace.freePort())"
                    + ":\(try Workspace.freePort()):\(role)"
            )
        }
        var started: [ServerProcess] = []
        for (index, kind) in kinds.enumerated() {
            let name = "server\(index + 1)"
            let data = try workspace.makeDirectory(name + "-data")
            try "\(index + 1)\n".write(
                toFile: data + "/myid",
                atomically: true,
                encoding: .utf8
            )
            started.append(
                try ServerProcess(
                    kind,
                    in: workspace,
                    name: name,
                    dataDirectory: data,
                    isMember: true,
                    extra: lines + extra
                )
            )
        }
        members = started
        waitUntilServing()
    }

    var addresses: String { members.map(\.address).joined(separator: ",") }

    func waitUntilServing() {
        for (index, member) in members.enumerated() where member.child.isRunning {
            eventually(
                "server \(index + 1) serves; its log: \(member.child.log.suffix(2000))",
                limit: 60
            ) {
                member.fourLetterWord("srvr").contains("Mode:")
            }
        }
    }

    /// `leader`, `follower`, `observer`, or nil for a server that does not serve.
    func mode(of member: ServerProcess) -> String? {
        member.fourLetterWord("srvr").split(separator: "\n").first { $0.hasPrefix("Mode: ") }
            .map { String($0.dropFirst(6)) }
    }

    /// Nil while nobody leads.
    var leader: Int? { members.firstIndex { mode(of: $0) == "leader" } }
}
