package import ZooKeeperModel

/// The password that belongs to a session: every server can compute it, so that a client may
/// reconnect anywhere. It keeps clients from taking a session by mistake, not by intent.
///
/// Apache takes 16 bytes from `java.util.Random`, a 48-bit linear congruential generator, seeded
/// with the session's id and a constant.
package enum SessionPassword {
    package static let size = 16
    /// What a server sends with a refusal.
    package static let none = [UInt8](repeating: 0, count: size)

    private static let multiplier: UInt64 = 0x5_DEEC_E66D
    private static let stateMask: UInt64 = 1 << 48 - 1

    package static func password(of session: SessionID) -> [UInt8] {
        let seed = UInt64(bitPattern: session.rawValue) ^ 0xB341_5C00
        var state = (seed ^ multiplier) & stateMask
        var password: [UInt8] = []
        password.reserveCapacity(size)
        for _ in 0..<(size / 4) {
            state = (state &* multiplier &+ 0xB) & stateMask
            let value = UInt32(truncatingIfNeeded: state >> 16)
            for shift in [0, 8, 16, 24] {
                password.append(UInt8(truncatingIfNeeded: value >> UInt32(shift)))
            }
        }
        return password
    }

    /// Whether this connect request may have the session that it names.
    package static func isValid(_ password: [UInt8]?, for session: SessionID) -> Bool {
        session != .none && password == Self.password(of: session)
    }
}
