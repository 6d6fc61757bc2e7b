package import ZooKeeperModel

/// What can happen to a ``MountedTree``.
package enum MountInput: Sendable {
    case kernel(FileRequestID, FileOperation, Caller)
    /// The caller of this request got a signal, or was looked at again as `.lookAtCaller` asked.
    /// Without signals, where they cannot be seen, it is taken as one that ends the call.
    case interrupted(FileRequestID, CallerSignals? = nil)
    /// The answer to `.submit`. A connection lost on the way is `.failure(.connectionLoss)`: the
    /// outcome is unknown.
    case completed(OperationToken, OperationOutcome)
    case event(WatchEvent)
    case session(SessionChange)
    /// The answer to `.measureEnsemble`; nil where none can be had.
    case measured(EnsembleMeasure?)
    case wake
    /// The mount is going away: end every waiting request.
    case unmounting
}

package struct OperationToken: RawRepresentable, Hashable, Comparable, Sendable {
    package var rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    package static func < (left: OperationToken, right: OperationToken) -> Bool {
        left.rawValue < right.rawValue
    }
}

package struct OperationOutcome: Sendable {
    package var result: Result<Response, ErrorCode>
    /// From the reply's header; `Zxid.none` where no reply came.
    package var zxid: Zxid
    package init(result: Result<Response, ErrorCode>, zxid: Zxid) {
        self.result = result
        self.zxid = zxid
    }
}

/// The client session below the mount, as it comes and goes.
package enum SessionChange: Hashable, Sendable {
    /// Connected, at first or again; `isNew` says that ephemerals and watches of an earlier session
    /// are gone. After a reconnection within a session, watches are in place again and events for
    /// what changed meanwhile follow.
    case connected(SessionID, isNew: Bool)
    /// The connection is gone; the session may still be saved.
    case disconnected
    /// The session is gone, with its ephemerals. A new one is being made.
    case expired
    /// The servers refused a credential; no session can be had.
    case authenticationFailed
}

/// What a ``MountedTree`` wants done, in the order it must happen.
package enum MountAction: Sendable {
    case reply(FileRequestID, FileReply)
    /// Absolute paths: the tree knows its own root. Submitted operations stay in order.
    case submit(OperationToken, Operation)
    case notify(KernelNotification)
    /// Answer with `.measured` soon, whatever becomes of it: requests wait for that.
    case measureEnsemble
    /// Answer with `.interrupted`, if this request still waits.
    case lookAtCaller(FileRequestID)
    case log(MountLogLevel, String)
}

/// What the kernel is told unasked. Carried out on the notifier thread, never waited for.
package enum KernelNotification: Hashable, Sendable {
    /// Forget the attributes of this node, and its pages where `withData`.
    case invalidateNode(NodeID, withData: Bool)
    case invalidateEntry(parent: NodeID, name: [UInt8])
    case wakePoll(PollHandle)
    case dropPoll(PollHandle)
}

package enum MountLogLevel: Hashable, Sendable { case debug, info, warning, error }
