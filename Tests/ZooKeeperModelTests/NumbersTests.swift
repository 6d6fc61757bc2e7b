import Testing
import ZooKeeperModel

@Suite struct ZxidTests {
    @Test func `a zxid is an epoch above a counter`() {
        let zxid = Zxid(epoch: 5, counter: 0xFFFF_FFFE)
        #expect(zxid.rawValue == 0x5_FFFF_FFFE)
        #expect(zxid.epoch == 5)
        #expect(zxid.counter == 0xFFFF_FFFE)
        #expect(zxid.next.counter == 0xFFFF_FFFF)
        #expect(zxid.next.epoch == 5)
        #expect(Zxid(epoch: 5, counter: .max) < Zxid(epoch: 6, counter: 0))
    }

    @Test func `a zxid prints as in ZooKeeper's files and logs`() {
        #expect(Zxid(epoch: 1, counter: 10).description == "0x10000000a")
        #expect(Zxid(epoch: 1, counter: 10).hexadecimal == "10000000a")
        #expect(Zxid.zero.hexadecimal == "0")
        #expect(Zxid.none.hexadecimal == "ffffffffffffffff")
    }

    @Test func `the end of the numbers does not trap`() {
        #expect(Zxid(rawValue: .max).next.rawValue == .min)
        #expect(Zxid.none.epoch == 0xFFFF_FFFF)
    }
}

@Suite struct ZnodeOwnerTests {
    @Test(
        arguments: [
            (0, .none),
            (0x0100_0000_0000_0001, .session(SessionID(rawValue: 0x0100_0000_0000_0001))),
            (Int64.min, .container), (Int64(bitPattern: 0xFF00_0000_0000_0001), .timeToLive(1)),
            (Int64(bitPattern: 0xFF00_00FF_FFFF_FFFF), .timeToLive(0xFF_FFFF_FFFF)),
        ] as [(Int64, ZnodeOwner)]
    )
    func `owners are told apart by their persisted value`(persisted: Int64, owner: ZnodeOwner) {
        #expect(ZnodeOwner(persisted: persisted, extendedTypes: true) == owner)
        #expect(owner.persisted == persisted)
    }

    @Test func `without extended types a time to live reads as a session`() {
        let persisted = ZnodeOwner.timeToLive(1000).persisted
        #expect(
            ZnodeOwner(persisted: persisted, extendedTypes: false)
                == .session(SessionID(rawValue: persisted))
        )
        #expect(ZnodeOwner(persisted: .min, extendedTypes: false) == .container)
    }
}

@Suite struct InstantTests {
    @Test func `durations convert to whole units`() {
        #expect(Duration.milliseconds(1500).wholeMilliseconds == 1500)
        #expect(Duration.microseconds(1999).wholeMilliseconds == 1)
        #expect(Duration.seconds(2).wholeNanoseconds == 2_000_000_000)
        #expect(Duration.milliseconds(-1500).wholeMilliseconds == -1500)
    }

    @Test func `a duration beyond 292 years saturates`() {
        #expect(Duration.seconds(Int64.max / 2).wholeNanoseconds == .max)
        #expect(Duration.seconds(Int64.min / 2).wholeNanoseconds == .min)
    }

    @Test func `instants move by durations and differ by them`() {
        let start = Instant(nanoseconds: 100)
        let later = start + .milliseconds(5)
        #expect(later.nanoseconds == 5_000_100)
        #expect(later - start == .milliseconds(5))
        #expect(later - .milliseconds(5) == start)
        #expect(start < later)
    }
}

@Suite struct OperationTests {
    @Test func `writes are the operations that go through the log`() {
        #expect(Operation.delete("/a", version: 0).isWrite)
        #expect(Operation.multi([]).isWrite)
        #expect(Operation.closeSession.isWrite)
        #expect(Operation.malformed(code: 14).isWrite)
        #expect(!Operation.malformed(code: 4).isWrite)
        #expect(!Operation.malformed(code: 999).isWrite)
        #expect(!Operation.getData("/a", watch: false).isWrite)
        #expect(!Operation.sync("/a").isWrite)
    }

    @Test func `sequential and ephemeral are read from the mode`() {
        #expect(CreateMode(rawValue: 3) == .ephemeralSequential)
        #expect(CreateMode.ephemeralSequential.isEphemeral)
        #expect(CreateMode.ephemeralSequential.isSequential)
        #expect(CreateMode.persistentSequentialTimeToLive.isSequential)
        #expect(!CreateMode.container.isEphemeral)
        #expect(CreateMode(rawValue: 7) == nil)
    }
}
