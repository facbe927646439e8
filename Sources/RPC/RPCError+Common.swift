/// Failures that several parts of the runtime report, each worded once.
extension RPCError {
    /// The request's bytes or fields break a limit of form.
    public static func invalidFields(_ violations: [FieldViolation]) -> RPCError {
        let first = violations.first.map { "\($0.field): \($0.description)" } ?? "no field named"
        let more = violations.count > 1 ? " (and \(violations.count - 1) more)" : ""
        return RPCError(
            .invalidArgument, reason: "INVALID_FIELD", first + more, disposition: .notExecuted, fieldViolations: violations)
    }

    /// The time is over. `place` says where that was found, as in "queue".
    package static func deadlineExceeded(at place: String, disposition: Disposition) -> RPCError {
        RPCError(
            .deadlineExceeded, reason: "DEADLINE_EXCEEDED", "the call's time was over (found at: \(place))",
            disposition: disposition, metadata: ["place": place])
    }

    /// A defect of ours. The text is for the log; the caller gets `id` only.
    package static func internalError(id: String, disposition: Disposition) -> RPCError {
        RPCError(
            .internalError, reason: "INTERNAL", "a defect of the server; report it with the id \(id)",
            disposition: disposition, metadata: ["id": id])
    }
}
