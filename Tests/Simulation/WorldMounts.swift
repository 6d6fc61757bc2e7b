internal import ClientCore
internal import DequeModule
internal import ZnodeFS
internal import ZooKeeperModel

/// The mounts' edge: between the simulated kernel, the tree and its session.
extension World {
    func mountWork(_ index: Int) {
        guard !clients[index].stopsWorking, let operations = clients[index].mount?.work()
        else { return }
        put(operations, index)
    }

    private func put(_ operations: [(FileRequestID, FileOperation)], _ index: Int) {
        for (id, operation) in operations {
            note("mount \(index) \(id.rawValue)")
            trace.addDetail("  \(operation)")
            feedMount(index, .kernel(id, operation, MountWorkload.caller))
        }
    }

    /// One input after the other, as on the real edge: see `feedClient`.
    func feedMount(_ index: Int, _ input: MountInput) {
        let client = clients[index]
        guard client.mount != nil else { return }
        client.mountInputs.append(input)
        guard !client.isHandlingMountInputs else { return }
        client.isHandlingMountInputs = true
        let reading = client.clock.reading(at: now)
        while let next = client.mountInputs.popFirst() {
            var actions: [MountAction] = []
            client.mount?.tree.handle(next, at: reading, actions: &actions)
            mountInputs += 1
            if mountInputs % 50 == 0 { client.mount?.tree.checkInvariants() }
            for action in actions { perform(action, index) }
        }
        client.isHandlingMountInputs = false
        planClientWake(index)
    }

    private func perform(_ action: MountAction, _ index: Int) {
        switch action {
        case .reply(let id, let reply):
            note("mount \(index) \(id.rawValue) →")
            trace.addDetail("  \(reply)")
            guard let (next, failure) = clients[index].mount?.answered(id, reply) else { return }
            if let failure { fail(failure) }
            put(next, index)
        case .submit(let token, let operation):
            submit(index, RequestToken(rawValue: token.rawValue), operation)
        // Simulated callers get no signals and do not ask how full the mount is.
        case .notify, .lookAtCaller, .measureEnsemble: break
        case .log(let level, let message): note("mount \(index) \(level): \(message)")
        }
    }
}
