/// A document's key, written as a literal.
///
/// There is no initialiser from a `String`: text that came from a user can be a value, never a key, an operator or a path.
package struct FieldName: ExpressibleByStringLiteral, CustomStringConvertible, Sendable {
    private let literal: StaticString

    package init(stringLiteral literal: StaticString) {
        precondition(literal.hasPointerRepresentation, "a field name is a string literal")
        self.literal = literal
    }

    package var description: String { literal.description }

    /// The key's bytes; literals are NUL-terminated and live as long as the process.
    var pointer: UnsafePointer<CChar> {
        UnsafeRawPointer(literal.utf8Start).assumingMemoryBound(to: CChar.self)
    }

    /// The same, without the NUL.
    var bytes: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount) }

    var byteCount: Int32 { Int32(literal.utf8CodeUnitCount) }
}
