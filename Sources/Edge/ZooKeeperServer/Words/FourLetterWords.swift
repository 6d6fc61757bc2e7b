internal import Platform
internal import Replication
internal import ZooKeeperModel

/// The four ASCII letters that a monitoring script sends instead of a session handshake.
///
/// The texts have the shape that Apache's server 3.8 prints, down to where it ends without a newline:
/// scripts parse them. Docs/Operating.md lists what is left out.
enum FourLetterWord: String, Sendable, CaseIterable {
    case conf, cons, crst, dirs, dump, envi, gtmk, hash, isro, mntr, ruok, srst, srvr, stat, stmk
    case wchc, wchp, wchs

    init?(bytes: ArraySlice<UInt8>) {
        self.init(rawValue: String(decoding: bytes, as: UTF8.self))
    }
}

/// What this server says of its version; the shape is what client libraries parse.
enum ServerVersion {
    static let text = "3.8.0-zkfs, built on 2026-11-23 00:00 UTC"
}

/// What the answer to a word is made of.
struct WordSource {
    /// The connection that asks.
    var asker: ConnectionID
    var now: ClockReading
    var status: ServerStatus
    var configuration: ServerConfiguration
    var process: ProcessFigures
    var figures: ConnectionFigures
    /// Bytes of the files of the data directory, and of the log directory.
    var directorySizes: (data: Int64, log: Int64)
    /// `/ip:port` of the open connections.
    var addresses: [ConnectionID: String]
}

extension FourLetterWord {
    /// Whether the sizes of the directories are part of the answer.
    var needsDirectorySizes: Bool { self == .conf || self == .dirs }

    /// The answer where it is known without looking at the server: the word is not allowed, or this
    /// server has nothing to say at the moment.
    func refusal(mode: ServerStatus.Mode, configuration: ServerConfiguration) -> String? {
        guard configuration.fourLetterWords.allows(rawValue) || isAlwaysAllowed(configuration)
        else { return "\(rawValue) is not executed because it is not in the whitelist.\n" }
        guard mode == .looking else { return nil }
        switch self {
        case .ruok, .envi, .gtmk, .stmk: return nil
        case .isro: return "null"
        case .hash: return "This ZooKeeper instance is not currently serving requests"
        case .conf, .cons, .crst, .dirs, .dump, .mntr, .srst, .srvr, .stat, .wchc, .wchp, .wchs:
            return "This ZooKeeper instance is not currently serving requests\n"
        }
    }
}

extension FourLetterWord {
    /// Other software of ZooKeeper's cannot do without these: its start script asks by srvr, clients
    /// that look for a server that takes writes ask by isro.
    private func isAlwaysAllowed(_ configuration: ServerConfiguration) -> Bool {
        self == .srvr || (self == .isro && configuration.readOnlyMode)
    }
}

/// As Java prints what it prints.
enum JavaText {
    /// At most four decimals, and at least one.
    static func rounded(_ value: Double) -> String {
        "\((value * 10_000).rounded() / 10_000)"
    }

    /// As `Thu Jan 01 00:00:00 UTC 1970`.
    static func date(_ time: Timestamp) -> String {
        let seconds = time.rawValue.flooredQuotient(by: 1000)
        let days = seconds.flooredQuotient(by: 86_400)
        let second = seconds - days * 86_400
        let weekday = Int((days + 4) - (days + 4).flooredQuotient(by: 7) * 7)
        let (year, month, day) = civil(days: days)
        return "\(weekdays[weekday]) \(months[month - 1]) \(two(day)) "
            + "\(two(second / 3600)):\(two(second / 60 % 60)):\(two(second % 60)) UTC \(year)"
    }

    private static let weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    private static func two(_ number: Int64) -> String {
        number < 10 ? "0\(number)" : "\(number)"
    }

    /// The Gregorian date of a day since 1970: years begin in March, so that the leap day is the last.
    private static func civil(days: Int64) -> (year: Int64, month: Int, day: Int64) {
        let shifted = days + 719_468
        let era = shifted.flooredQuotient(by: 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let march = (5 * dayOfYear + 2) / 153
        let month = Int(march < 10 ? march + 3 : march - 9)
        return (
            yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month,
            dayOfYear - (153 * march + 2) / 5 + 1
        )
    }
}

extension Int64 {
    fileprivate func flooredQuotient(by divisor: Int64) -> Int64 {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }
}
