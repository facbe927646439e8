/// A call that failed: what happened, whether it ran, and what to do.
public struct RPCError: Error, Sendable, Equatable {
    /// A field of the request that was refused.
    public struct FieldViolation: Sendable, Equatable {
        /// Path of the field, as in "lines[2].quantity".
        public var field: String
        /// Why, and what is allowed.
        public var description: String

        public init(field: String, description: String) {
            self.field = field
            self.description = description
        }
    }

    /// gRPC's code. Never `.ok`.
    public var code: StatusCode
    /// Why, in UPPER_SNAKE_CASE: for programs. docs/errors.md lists all.
    public var reason: String
    /// What happened and what to do: for people.
    public var message: String
    /// Whether the call ran.
    public var disposition: Disposition
    /// Facts about this failure.
    public var metadata: [String: String]
    /// Every refused field, where the code is `.invalidArgument`.
    public var fieldViolations: [FieldViolation]
    /// Shortest time to wait before the next try, where waiting helps.
    public var retryDelay: Duration?

    /// A failure. A handler that throws it has, unless it says otherwise, decided the call: `.executed`.
    public init(
        _ code: StatusCode, reason: String, _ message: String, disposition: Disposition = .executed,
        metadata: [String: String] = [:], fieldViolations: [FieldViolation] = [], retryDelay: Duration? = nil
    ) {
        self.code = code
        self.reason = reason
        self.message = message
        self.disposition = disposition
        self.metadata = metadata
        self.fieldViolations = fieldViolations
        self.retryDelay = retryDelay
    }
}

extension RPCError: CustomStringConvertible {
    public var description: String {
        var text = "\(code) \(reason) (\(disposition)): \(message)"
        for violation in fieldViolations { text += "; \(violation.field): \(violation.description)" }
        return text
    }
}
