internal import NIOCore
internal import NIOPosix
internal import Platform

/// Errors of sockets and names, in words for the operator: without the names of calls and types.
enum SocketErrors {
    static func sentence(_ error: any Error) -> String {
        switch error {
        case let error as NIOConnectionError:
            if let attempt = error.connectionErrors.last { return sentence(attempt.error) }
            if let lookup = error.dnsAError ?? error.dnsAAAAError { return sentence(lookup) }
            return "\(error)"
        case let error as SocketAddressError.UnknownHost:
            return "the name \(error.host) is not known (\(error.errorDescription))"
        case let error as IOError:
            return SystemError.text(error.errnoCode)
        case ChannelError.connectTimeout:
            return "no answer"
        default:
            return "\(error)"
        }
    }
}
