/// Writes the fields of a message straight into its binary form. It exists inside the closure that writes, and allocates
/// nothing of its own: every field goes into the one buffer of the outermost message.
///
/// Fields are written in the order of their numbers, as an ordinary encoder does; so are the elements of a list, one `append`
/// each. Default values, such as 0, are left out.
public struct MessageWriter<Body: Message>: ~Copyable {
    @usableFromInline let output: UnsafeMutablePointer<WireOutput>
    @usableFromInline var latest: UInt32 = 0

    @usableFromInline
    init(_ output: UnsafeMutablePointer<WireOutput>) { self.output = output }

    /// A string that is read elsewhere. Text with U+0000 makes the message one that cannot be sent.
    @inlinable
    public mutating func append(_ field: MessageField<Body, String>, _ value: UTF8Span) {
        if value.isEmpty && !field.writesDefault { return }
        begin(field)
        value.span.withUnsafeBytes { output.pointee.append(text: $0, of: field.name) }
    }

    /// A string. Text with U+0000 makes the message one that cannot be sent.
    @inlinable
    public mutating func append(_ field: MessageField<Body, String>, _ value: String) {
        append(field, value.utf8Span)
    }

    /// Bytes.
    @inlinable
    public mutating func append(_ field: MessageField<Body, [UInt8]>, _ value: Span<UInt8>) {
        if value.isEmpty && !field.writesDefault { return }
        begin(field)
        value.withUnsafeBytes { output.pointee.append(delimited: $0) }
    }

    /// Bytes.
    @inlinable
    public mutating func append(_ field: MessageField<Body, [UInt8]>, _ value: [UInt8]) { append(field, value.span) }

    /// A number, a Bool or an enum.
    @inlinable
    public mutating func append<Value: WireScalar>(_ field: MessageField<Body, Value>, _ value: Value) {
        if value.isWireDefault && !field.writesDefault { return }
        begin(field)
        let bits = value.wireBits
        switch field.form {
        case .varint: output.pointee.append(varint: bits)
        case .zigZag: output.pointee.append(varint: bits << 1 ^ UInt64(bitPattern: Int64(bitPattern: bits) >> 63))
        case .fixed64: output.pointee.append(fixed64: bits)
        case .fixed32: output.pointee.append(fixed32: UInt32(truncatingIfNeeded: bits))
        case .delimited: preconditionFailure("generated code gives numbers another form")
        }
    }

    /// A message that `write` writes in place.
    @inlinable
    public mutating func append<Inner: Message, Failure: Error>(
        _ field: MessageField<Body, Inner>, _ write: (inout MessageWriter<Inner>) throws(Failure) -> Void
    ) throws(Failure) {
        begin(field)
        let content = output.pointee.beginDelimited()
        let wasSound = output.pointee.problem == nil
        var writer = MessageWriter<Inner>(output)
        try write(&writer)
        output.pointee.endDelimited(from: content)
        if wasSound, let problem = output.pointee.problem { output.pointee.problem = problem.under("\(field.name)") }
    }

    /// A message that is a value already.
    @inlinable
    public mutating func append<Inner: Message>(_ field: MessageField<Body, Inner>, _ value: Inner) {
        append(field) { $0.append(contentsOf: value) }
    }

    /// All fields that a value has. Also how maps and repeated numbers are written: as a message in which nothing else is set.
    @inlinable
    public mutating func append(contentsOf value: Body) {
        do throws(EncodingError) {
            try output.pointee.append(value)
        } catch {
            output.pointee.note(error)
        }
    }

    @inlinable
    mutating func begin<Value>(_ field: MessageField<Body, Value>) {
        assert(field.number > latest || field.number == latest && field.writesDefault, "fields are written once, in the order of their numbers")
        latest = field.number
        output.pointee.append(varint: field.tag)
    }
}
