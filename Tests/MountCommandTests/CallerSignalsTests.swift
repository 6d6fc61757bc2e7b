import Glibc
import Testing
import ZnodeFS

@testable import Fuse

@Suite struct CallerSignalsTests {
    @Test func `the signals of a thread are read from its status`() {
        let status = """
            Name:\tsh
            SigQ:\t5/96364
            SigPnd:\t0000000000000100
            ShdPnd:\t0000000000010000
            SigBlk:\t0000000000000001
            SigIgn:\t0000000001001000
            SigCgt:\t8000000000010002
            """
        #expect(
            CallerSignals(status: Array(status.utf8))
                == CallerSignals(
                    pending: 0x10100,
                    blocked: 1,
                    ignored: 0x0100_1000,
                    caught: 0x8000_0000_0001_0002
                )
        )
    }

    @Test(arguments: [
        "", "SigPnd:", "SigPnd:\t0\nShdPnd:\tnone\nSigBlk:\t0\nSigIgn:\t0\nSigCgt:\t0",
    ])
    func `what says nothing is not guessed`(status: String) {
        #expect(CallerSignals(status: Array(status.utf8)) == nil)
    }

    @Test func `a thread that waits is seen, one that is gone is not`() {
        #expect(CallerSignals(of: getpid()) != nil)
        #expect(CallerSignals(of: 0) == nil)
        #expect(CallerSignals(of: .max) == nil)
    }
}
