/// The connections that have output to send at the end of a turn, in the order in which they got it.
///
/// Sending can cause more output, for any of them, and can end a connection, which flushes the others in
/// the midst of it. So the list is taken before it is walked: what is marked meanwhile is in the next one.
final class FlushList<Connection> {
    private var marked: [Connection] = []
    /// Empty: the room of those that were flushed last.
    private var spare: [Connection] = []

    /// Not one that is marked already.
    func mark(_ connection: Connection) { marked.append(connection) }

    func flush(_ send: (Connection) -> Void) {
        while !marked.isEmpty {
            var batch: [Connection] = []
            swap(&batch, &spare)
            swap(&batch, &marked)
            for connection in batch { send(connection) }
            batch.removeAll(keepingCapacity: true)
            spare = batch
        }
    }
}
