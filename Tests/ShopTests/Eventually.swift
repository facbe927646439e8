/// Asks until there is an answer.
func eventually<Value>(_ body: () async throws -> Value?) async throws -> Value {
    for _ in 0..<200 {
        if let value = try await body() { return value }
        try await Task.sleep(for: .milliseconds(50))
    }
    throw NeverHappened()
}

func eventually(_ condition: () async throws -> Bool) async throws {
    let _: Bool = try await eventually { try await condition() ? true : nil }
}

struct NeverHappened: Error {}
