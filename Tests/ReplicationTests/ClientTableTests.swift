import Testing
import ZooKeeperModel

@testable import Replication

struct ClientTableTests {
    private func client(_ number: UInt64) -> Client {
        Client(
            id: ConnectionID(rawValue: number),
            address: "127.0.0.1:\(number)",
            established: Timestamp(rawValue: 0)
        )
    }

    @Test func `a slot asked for twice is that of the one who is asked about`() {
        var table = ClientTable()
        table.insert(client(1))
        table.insert(client(2))
        for number in [1, 1, 2, 2, 1] as [UInt64] {
            let id = ConnectionID(rawValue: number)
            let slot = table.likelySlot(of: id)
            #expect(slot == table.slot(of: id))
            #expect(slot.map { table[$0].id } == id)
        }
    }

    @Test func `whoever has gone has no slot, though another has its place`() {
        var table = ClientTable()
        table.insert(client(1))
        let slot = table.likelySlot(of: ConnectionID(rawValue: 1))
        #expect(slot != nil)
        if let slot { table.remove(at: slot) }
        #expect(table.likelySlot(of: ConnectionID(rawValue: 1)) == nil)
        table.insert(client(2))
        #expect(table.likelySlot(of: ConnectionID(rawValue: 1)) == nil)
        #expect(table.likelySlot(of: ConnectionID(rawValue: 2)) == slot)
    }
}
