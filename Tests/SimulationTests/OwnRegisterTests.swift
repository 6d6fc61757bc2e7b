import Simulation
import Testing

/// What a client may read from the register that it alone writes.
struct OwnRegisterTests {
    private func register(acknowledged count: Int) -> OwnRegister {
        var register = OwnRegister()
        for _ in 0..<count { register.wasAcknowledged(register.next()) }
        return register
    }

    @Test func `less than what was answered is seen`() {
        let register = register(acknowledged: 3)
        #expect(!register.mayBeRead(2, floor: register.floor))
        #expect(register.mayBeRead(3, floor: register.floor))
        #expect(!register.mayRemain(2))
        #expect(register.mayRemain(3))
        #expect(!register.mayRemain(4), "it was never sent")
    }

    @Test func `a lost write may come late until its session is known to be over`() {
        var register = register(acknowledged: 1)
        let lost = register.next()
        register.wasLost(lost)
        register.wasAcknowledged(register.next())
        #expect(register.mayBeRead(lost, floor: register.floor))
        register.lostIsDecided()
        #expect(!register.mayBeRead(lost, floor: register.floor))
        #expect(!register.mayRemain(lost))
    }

    @Test func `a write of a process that died may come at any time`() {
        var register = register(acknowledged: 1)
        let lost = register.next()
        register.wasLost(lost)
        register.processDied()
        #expect(register.floor == 0, "the next one may be served by another server")
        register.wasAcknowledged(register.next())
        register.lostIsDecided()
        #expect(register.mayBeRead(lost, floor: register.floor))
        #expect(register.mayRemain(lost))
        #expect(!register.mayRemain(1))
    }
}
