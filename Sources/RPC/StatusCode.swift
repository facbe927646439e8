/// How a call ended: gRPC's codes with gRPC's numbers (https://grpc.io/docs/guides/status-codes/).
public enum StatusCode: UInt8, Sendable, CaseIterable, CustomStringConvertible {
    /// The call succeeded.
    case ok = 0
    /// The caller cancelled it.
    case cancelled = 1
    /// The peer sent something that this side does not know.
    case unknown = 2
    /// The request is wrong, whatever the state of the system.
    case invalidArgument = 3
    /// The budget was used up.
    case deadlineExceeded = 4
    /// There is no such thing, or not for this caller.
    case notFound = 5
    /// It exists already, with another content.
    case alreadyExists = 6
    /// The caller may not do this.
    case permissionDenied = 7
    /// A limit was reached; waiting may help.
    case resourceExhausted = 8
    /// The thing is in a state that does not allow this.
    case failedPrecondition = 9
    /// A conflict with another caller; start over at a higher level.
    case aborted = 10
    /// Past the range that is there, or no longer there.
    case outOfRange = 11
    /// There is no such method.
    case unimplemented = 12
    /// A defect of ours.
    case internalError = 13
    /// Something that is needed is away; retrying helps.
    case unavailable = 14
    /// Data is lost or damaged.
    case dataLoss = 15
    /// The caller did not prove who it is.
    case unauthenticated = 16

    /// gRPC's name, as in "INVALID_ARGUMENT".
    public var description: String {
        switch self {
        case .ok: "OK"
        case .cancelled: "CANCELLED"
        case .unknown: "UNKNOWN"
        case .invalidArgument: "INVALID_ARGUMENT"
        case .deadlineExceeded: "DEADLINE_EXCEEDED"
        case .notFound: "NOT_FOUND"
        case .alreadyExists: "ALREADY_EXISTS"
        case .permissionDenied: "PERMISSION_DENIED"
        case .resourceExhausted: "RESOURCE_EXHAUSTED"
        case .failedPrecondition: "FAILED_PRECONDITION"
        case .aborted: "ABORTED"
        case .outOfRange: "OUT_OF_RANGE"
        case .unimplemented: "UNIMPLEMENTED"
        case .internalError: "INTERNAL"
        case .unavailable: "UNAVAILABLE"
        case .dataLoss: "DATA_LOSS"
        case .unauthenticated: "UNAUTHENTICATED"
        }
    }
}
