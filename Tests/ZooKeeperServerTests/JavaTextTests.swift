import Testing
import ZooKeeperModel

@testable import ZooKeeperServer

struct JavaTextTests {
    @Test(arguments: [
        (0, "Thu Jan 01 00:00:00 UTC 1970"), (-1, "Wed Dec 31 23:59:59 UTC 1969"),
        (951_782_400_000, "Tue Feb 29 00:00:00 UTC 2000"),
        (1_795_636_540_260, "Wed Nov 25 19:55:40 UTC 2026"),
        (4_107_542_399_999, "Sun Feb 28 23:59:59 UTC 2100"),
        (4_107_542_400_000, "Mon Mar 01 00:00:00 UTC 2100"),
    ])
    func `a moment is printed as Java prints a date`(milliseconds: Int64, text: String) {
        #expect(JavaText.date(Timestamp(rawValue: milliseconds)) == text)
    }

    @Test(arguments: [(0.0, "0.0"), (17.545_454, "17.5455"), (3, "3.0"), (0.000_01, "0.0")])
    func `a mean has at most four decimals and at least one`(value: Double, text: String) {
        #expect(JavaText.rounded(value) == text)
    }
}
