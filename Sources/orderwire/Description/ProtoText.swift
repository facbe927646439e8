import ProtoRuntime
import ProtoSchema
import Terminal

/// Writes things of .proto files nearly as they stood there, for people.
struct ProtoText {
    /// Columns to keep comments within; nil where lines may be as long as they are.
    let width: Int?
    /// Whether comments may be dimmed.
    let hasColour: Bool
    private(set) var text = ""
    private var depth = 0

    init(width: Int?, hasColour: Bool) {
        self.width = width
        self.hasColour = hasColour
    }

    private mutating func line(_ line: String) {
        text += String(repeating: "  ", count: depth) + line.escapingControls + "\n"
    }

    private mutating func comment(_ comment: String) {
        guard !comment.isEmpty else { return }
        let margin = String(repeating: "  ", count: depth)
        for part in comment.split(separator: "\n", omittingEmptySubsequences: false) {
            for line in part.escapingControls.wrapped(to: width.map { $0 - margin.count - 3 }) {
                text += margin + (hasColour ? "\u{1B}[2m// \(line)\u{1B}[0m" : "// \(line)") + "\n"
            }
        }
    }

    private mutating func block(_ opening: String, _ body: (inout ProtoText) -> Void) {
        line(opening + " {")
        depth += 1
        body(&self)
        depth -= 1
        line("}")
    }

    /// A line without text, before whatever is not the first.
    mutating func gap() {
        if !text.isEmpty { text += "\n" }
    }

    // MARK: - Services

    mutating func write(_ service: SchemaService) {
        comment(service.comment)
        block("service \(service.fullName)") { writer in
            for method in service.methods { writer.write(method, named: method.name, in: service) }
        }
    }

    /// A method, with how the server carries it out where that is known.
    mutating func write(_ method: SchemaMethod, of service: SchemaService, _ info: Runtime.MethodInfo?) {
        write(method, named: "\(service.fullName)/\(method.name)", in: service)
        if let info { comment(info.summary) }
    }

    private mutating func write(_ method: SchemaMethod, named name: String, in service: SchemaService) {
        comment(method.comment)
        let types = [method.request, method.response].map { Self.relative($0, to: service.fullName) }
        let call = "rpc \(name)(\(types[0])) returns (\(types[1]))"
        switch method.idempotency {
        case .unknown: line(call + ";")
        case .noSideEffects: block(call) { $0.line("option idempotency_level = NO_SIDE_EFFECTS;") }
        case .idempotent: block(call) { $0.line("option idempotency_level = IDEMPOTENT;") }
        }
    }

    // MARK: - Types

    mutating func write(_ message: SchemaMessage) { write(message, named: message.fullName) }

    private mutating func write(_ message: SchemaMessage, named name: String) {
        comment(message.comment)
        if message.fields.isEmpty, message.messages.isEmpty, message.enums.isEmpty { return line("message \(name) {}") }
        block("message \(name)") { writer in
            for nested in message.messages { writer.write(nested, named: nested.name) }
            for nested in message.enums { writer.write(nested, named: nested.name) }
            var written = Set<Int>()
            for field in message.fields {
                guard let oneof = field.oneof, message.oneofs.indices.contains(oneof) else {
                    writer.write(field, in: message)
                    continue
                }
                guard written.insert(oneof).inserted else { continue }
                writer.comment(message.oneofs[oneof].comment)
                writer.block("oneof \(message.oneofs[oneof].name)") { writer in
                    for member in message.fields where member.oneof == oneof { writer.write(member, in: message) }
                }
            }
        }
    }

    private mutating func write(_ field: SchemaField, in message: SchemaMessage) {
        comment(field.comment)
        line("\(Self.type(field.kind, in: message.fullName)) \(field.name) = \(field.number);")
    }

    mutating func write(_ value: SchemaEnum) { write(value, named: value.fullName) }

    private mutating func write(_ value: SchemaEnum, named name: String) {
        comment(value.comment)
        block("enum \(name)") { writer in
            for value in value.values {
                writer.comment(value.comment)
                writer.line("\(value.name) = \(value.number);")
            }
        }
    }

    /// A field's type as a .proto file writes it.
    static func type(_ kind: SchemaField.Kind, in scope: String = "") -> String {
        func name(_ type: FieldType) -> String {
            switch type {
            case .number(let number): number.rawValue
            case .bool: "bool"
            case .string: "string"
            case .bytes: "bytes"
            case .enumeration(let name), .message(let name): relative(name, to: scope)
            case .unsupported: "group"
            }
        }
        return switch kind {
        case .singular(let type): name(type)
        case .repeated(let type): "repeated \(name(type))"
        case .map(let key, let value, _): "map<\(name(key)), \(name(value))>"
        }
    }

    /// A full name without the package, or the message, that both have in common: what a .proto file would write.
    private static func relative(_ name: String, to scope: String) -> String {
        var common = scope[...]
        while !common.isEmpty {
            if name.hasPrefix(common + ".") { return String(name.dropFirst(common.count + 1)) }
            common = common.lastIndex(of: ".").map { common[..<$0] } ?? ""
            // One that shares no more than the project's name is another package's.
            if !common.contains(".") { break }
        }
        return name
    }
}

extension Runtime.MethodInfo {
    /// For people, as in "gathered, at most 2 at once, up to 256 calls together, requests up to 8 MiB; 0x12345678 on the wire".
    fileprivate var summary: String {
        var parts = [dispatch.text] + (priority == .high ? ["goes first"] : [])
        if concurrency > 0 { parts.append("at most \(concurrency) at once") }
        if maxBatchCalls > 1 { parts.append("up to \(maxBatchCalls) calls together") }
        if maxRequestBytes > 0 { parts.append("requests up to \(Self.size(maxRequestBytes))") }
        let digits = String(id, radix: 16)
        return parts.joined(separator: ", ") + "; 0x" + String(repeating: "0", count: 8 - digits.count) + digits + " on the wire"
    }

    private static func size(_ bytes: Int64) -> String {
        for (unit, shift) in [("MiB", 20), ("KiB", 10)] where bytes % (1 << shift) == 0 { return "\(bytes >> shift) \(unit)" }
        return "\(bytes) bytes"
    }
}
