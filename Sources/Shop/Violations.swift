import RPC

/// Collects everything that is wrong with a request, so that the caller hears all of it at once.
struct Violations {
    private(set) var list: [RPCError.FieldViolation] = []

    var isEmpty: Bool { list.isEmpty }

    mutating func add(_ field: String, _ description: String) {
        guard list.count < Limits.maxViolations else { return }
        list.append(RPCError.FieldViolation(field: field, description: description))
    }

    /// Ids and keys: 1 to 64 bytes of printable ASCII without spaces.
    ///
    /// - Parameter field: made only where something is wrong.
    mutating func checkID(_ id: String, _ field: @autoclosure () -> String) {
        if id.isEmpty {
            add(field(), "required")
        } else if id.utf8.count > Limits.maxIDLength || !id.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) {
            add(field(), "must be 1 to \(Limits.maxIDLength) bytes of printable ASCII without spaces")
        }
    }

    mutating func checkText(_ text: String, _ field: String, isRequired: Bool, maxLength: Int) {
        if isRequired && text.isEmpty { add(field, "required") }
        if text.utf8.count > maxLength { add(field, "must have at most \(maxLength) bytes") }
    }

    /// Throws all that was found as one error.
    func check() throws(RPCError) {
        if !list.isEmpty { throw .invalidFields(list) }
    }
}
