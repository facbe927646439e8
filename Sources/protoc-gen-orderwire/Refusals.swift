import ProtoSchema

/// What compiles as .proto, but does not work through protobuf-c.
struct Refusals {
    private let messages: [String: SchemaMessage]

    /// Throws for the first such thing in the files to generate. `all` also holds the files they import.
    static func check(_ generated: [SchemaFile], all: [SchemaFile]) throws(PluginError) {
        var messages: [String: SchemaMessage] = [:]
        func collect(_ list: [SchemaMessage]) {
            for message in list {
                messages[message.fullName] = message
                collect(message.messages)
            }
        }
        for file in all { collect(file.messages) }
        let refusals = Refusals(messages: messages)
        for file in generated {
            guard file.syntax == "proto3" else { throw PluginError(file.name, "only syntax proto3 is supported") }
            guard !file.package.isEmpty else { throw PluginError(file.name, "has no package, from which the Swift namespace follows") }
            try refusals.check(file.messages)
            for service in file.services {
                for method in service.methods where method.isStreaming {
                    throw PluginError("\(service.fullName).\(method.name)", "streaming is not supported")
                }
            }
        }
    }

    private func check(_ list: [SchemaMessage]) throws(PluginError) {
        for message in list {
            try checkNames(message)
            if let path = path(from: message.fullName, to: message.fullName, visited: []) {
                throw PluginError(
                    message.fullName,
                    "recursive by way of \(path); protobuf-c unpacks such a message without any limit of depth")
            }
            try check(message.messages)
        }
    }

    private func checkNames(_ message: SchemaMessage) throws(PluginError) {
        for field in message.fields {
            let place = "\(message.fullName).\(field.name)"
            if field.name.lowercased() == "base" {
                throw PluginError(place, "protobuf-c has a struct field of that name itself")
            }
            if field.jsonName != Self.defaultJSONName(field.name) {
                throw PluginError(place, "json_name \"\(field.jsonName)\": protobuf-c keeps no JSON names of one's own")
            }
            if let other = field.mentionedTypes.first(where: { $0.hasPrefix("google.protobuf.") }),
                !Self.wellKnown.contains(other)
            {
                throw PluginError(place, "\(other) is not supported; of google.protobuf there are \(Self.wellKnownList)")
            }
            if let oneof = field.oneof, message.oneofs[oneof].name == "_" + field.name {
                throw PluginError(place, "protobuf-c has no proto3 optional: use a message, a oneof, or let 0 mean unset")
            }
            if case .repeated(.message(let name)) = field.kind, looksLikeEntry(name, of: field, in: message) {
                throw PluginError(place, "protobuf-c cannot tell it from a map: give \(name) another name")
            }
        }
    }

    private func looksLikeEntry(_ name: String, of field: SchemaField, in message: SchemaMessage) -> Bool {
        name == "\(message.fullName).\(SwiftNames.upperCamel(field.name))Entry"
            && messages[name].map { $0.fields.map(\.name) == ["key", "value"] } == true
    }

    private static let wellKnown = ["google.protobuf.Any", "google.protobuf.Duration", "google.protobuf.Timestamp"]
    private static var wellKnownList: String { wellKnown.joined(separator: ", ") }

    /// What protoc makes of a field's name: each letter after an underscore becomes a capital.
    private static func defaultJSONName(_ name: String) -> String {
        let words = name.split(separator: "_", omittingEmptySubsequences: false)
        return words.enumerated().map { index, word in
            index == 0 ? String(word) : word.prefix(1).uppercased() + word.dropFirst()
        }.joined()
    }

    /// The field path by which a message contains `target`.
    private func path(from name: String, to target: String, visited: Set<String>) -> String? {
        guard let message = messages[name], !visited.contains(name) else { return nil }
        for field in message.fields {
            switch field.kind {
            case .singular(.message(let inner)), .repeated(.message(let inner)), .map(_, .message(let inner), _):
                if inner == target { return field.name }
                if let rest = path(from: inner, to: target, visited: visited.union([name])) { return "\(field.name).\(rest)" }
            default: break
            }
        }
        return nil
    }
}
