import ArgumentParser
import Fuse

/// `zkfs`: mounts a ZooKeeper tree. See Docs/Mount.md for what the tree promises.
@main enum Zkfs {
    static func main() {
        let command = MountCommand.parseOrExit()
        // Before anything of its own is open.
        if !command.foreground { ProcessFacts.closeInheritedDescriptors() }
        do {
            let plan = try MountPlan(command)
            // Before anything that starts a thread: a forked process has one thread only.
            let daemon =
                plan.staysInForeground ? nil : try DaemonProcess.detach(complaint: "zkfs: ")
            let status = MountProcess(plan: plan, daemon: daemon).run()
            MountCommand.exit(withError: ExitCode(status))
        } catch let error as OptionError {
            complain(error.sentence + "\nTry zkfs --help.", status: 2)
        } catch let error as MountFailure {
            complain(error.sentence, status: 1)
        } catch {
            complain("\(error)", status: 1)
        }
    }

    private static func complain(_ sentence: String, status: Int32) -> Never {
        ProcessFacts.complain("zkfs: \(sentence)")
        MountCommand.exit(withError: ExitCode(status))
    }
}
