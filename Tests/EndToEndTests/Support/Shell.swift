import FoundationEssentials

/// Runs verbs against a server.
struct Shell {
    let environment: [String: String]

    struct Failed: Error { var result: Program.Result }

    init(_ server: ServerProcess) { self.init(server.endpoint) }

    init(_ endpoint: String) {
        environment = ["ORDERWIRE_SERVER": endpoint, "ORDERWIRE_CLIENT": "shell", "ORDERWIRE_TIMEOUT": "30s"]
    }

    func run(_ arguments: [String], input: String = "") async throws -> Program.Result {
        try await Program.run(arguments, environment: environment, input: input)
    }

    func run(_ arguments: String..., input: String = "") async throws -> Program.Result { try await run(arguments, input: input) }

    /// Runs a verb that is to succeed, and to print one JSON value.
    func json(_ arguments: [String]) async throws -> JSON {
        let result = try await run(arguments)
        guard result.end == .exited(0) else { throw Failed(result: result) }
        return try JSON(result.output)
    }

    func json(_ arguments: String...) async throws -> JSON { try await json(arguments) }

    func start(_ arguments: String...) async throws -> ChildProcess {
        try await ChildProcess.start(Program.path, arguments, environment: environment)
    }
}

/// Any JSON value, as a program that knows nothing of ours reads it.
enum JSON: Decodable, Equatable {
    case object([String: JSON])
    case array([JSON])
    case string(String)
    case number(Double)
    case bool(Bool)
    case null

    init(_ text: String) throws {
        do { self = try JSONDecoder().decode(JSON.self, from: Data(text.utf8)) } catch { throw NoJSON(text: text) }
    }

    /// Text that should have been JSON.
    struct NoJSON: Error { var text: String }

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let bool = try? container.decode(Bool.self) {
            self = .bool(bool)
        } else if let number = try? container.decode(Double.self) {
            self = .number(number)
        } else if let string = try? container.decode(String.self) {
            self = .string(string)
        } else if let array = try? container.decode([JSON].self) {
            self = .array(array)
        } else {
            self = .object(try container.decode([String: JSON].self))
        }
    }

    subscript(key: String) -> JSON? {
        if case .object(let members) = self { members[key] } else { nil }
    }

    subscript(index: Int) -> JSON? {
        if case .array(let elements) = self, elements.indices.contains(index) { elements[index] } else { nil }
    }

    var count: Int {
        if case .array(let elements) = self { elements.count } else { 0 }
    }

    func string(_ key: String) -> String? {
        if case .string(let text) = self[key] { text } else { nil }
    }
}
