public import Protobuf

/// Which waiting calls of a method are handed over together, and how many at once.
package struct DispatchPolicy: Sendable {
    package enum Gather: Sendable {
        /// One call.
        case one
        /// All that wait.
        case all
        /// The first one, and all that wait with the same payload; of several such groups, a worker's share.
        case equalPayloads
    }

    package var gather: Gather
    /// Most batches of the method that run at once.
    package var concurrency: Int
    /// Calls that have to wait for another batch to begin beside one that runs.
    package var callsForAnother: Int = 1
    /// Most calls in a batch.
    package var maxCalls: Int = 1
    /// Most different payloads in a batch of `.equalPayloads`.
    package var maxPayloads: Int = 1
    /// Most payload bytes in a batch, unless a single call is larger.
    package var maxBytes: Int = .max
    /// Whether a call may stay unanswered when the handler returns.
    package var mayPark: Bool = false
    /// Whether others go first.
    package var priority: CallPriority = .normal
}

/// Which calls go first where not all can be carried out.
public enum CallPriority: Sendable {
    /// Most.
    case normal
    /// Before all others, and beyond the limits at which others are refused: for short calls that tell how things are, and
    /// those that relieve the server. Not for work.
    case high
}

/// A method with its handler, the types erased: one line of a server's method table.
public struct MethodRegistration: Sendable {
    package let fullName: String
    package let id: UInt32
    package let idempotency: Idempotency
    package let policy: DispatchPolicy
    /// Largest request payload in bytes; nil: the server's limit.
    package let maxRequestBytes: Int?
    package let handle: @Sendable ([any IncomingCall]) -> Void

    public init<Request: Message, Response: Message>(
        _ method: MethodDescriptor<Request, Response>, _ handler: Handler<Request, Response>
    ) {
        fullName = method.fullName
        id = method.id
        idempotency = method.idempotency
        policy = handler.policy
        maxRequestBytes = handler.maxRequestBytes
        handle = handler.handle
    }
}

/// A set of methods that a server can carry out. Generated `Handlers` protocols refine it and fill in `registrations`.
public protocol Service: Sendable {
    /// The .proto files that describe its methods, each after those that it imports.
    var files: [FileDescriptor] { get }
    /// One entry a method.
    var registrations: [MethodRegistration] { get }
}
