import Foundation
import Testing

/// `docs/errors.md` lists what the sources can report, no more and no less.
@Suite struct ErrorReasonTests {
    @Test func everyReasonIsDocumentedAndEveryDocumentedReasonExists() throws {
        let sources = ErrorReasons(try Repository.swiftFiles(in: ["Sources"]).map(Repository.text))
        let document = ErrorReasons.documented(in: try Repository.text("docs/errors.md"))
        #expect(sources.names.subtracting(document.keys) == [], "not in docs/errors.md")
        #expect(Set(document.keys).subtracting(sources.names) == [], "in docs/errors.md, but nowhere in Sources")
        for (reason, code) in document {
            guard let codes = sources.codes[reason] else { continue }
            #expect(codes.contains(code), "\(reason) is documented as \(code)")
        }
    }

    @Test func findsReasonsInEveryFormThatTheSourcesUse() {
        let source = """
            throw RPCError(.notFound, reason: "A_B", "text")
            RPCError(
                .internalError, reason: "C", "text")
            RPCError(.unavailable, reason: RefusalReason.shuttingDown.rawValue, "text")
            enum RefusalReason: String {
                case shuttingDown = "SHUTTING_DOWN"
            }
            enum Other: String {
                case x = "NO_REASON"
            }
            throw .spawnFailed(reason: "no reason of a call")
            """
        let found = ErrorReasons([source])
        #expect(found.names == ["A_B", "C", "SHUTTING_DOWN"])
        #expect(found.codes == ["A_B": ["NOT_FOUND"], "C": ["INTERNAL"], "SHUTTING_DOWN": ["UNAVAILABLE"]])
    }

    @Test func readsTheFirstTwoColumnsOfTheDocument() {
        let text = "| reason | code |\n|---|---|\n| `A_B` | NOT_FOUND | x |\n| `C` | any |\nThe `D` is no row.\n"
        #expect(ErrorReasons.documented(in: text) == ["A_B": "NOT_FOUND", "C": "any"])
    }
}

/// The reasons that sources name, with the status codes that stand beside them.
private struct ErrorReasons {
    private(set) var names: Set<String> = []
    /// Only of reasons that stand in the same expression as their code.
    private(set) var codes: [String: Set<String>] = [:]

    init(_ sources: [String]) {
        var raw: [Substring: String] = [:]
        for source in sources {
            for match in source.matches(of: /reason: "([A-Z][A-Z_]*)"/) { names.insert(String(match.1)) }
            for match in source.matches(of: /[(\s]\.([a-zA-Z]+), reason: "([A-Z][A-Z_]*)"/) { note(String(match.2), match.1) }
            // Their raw values are reasons, and names of counters.
            for block in source.matches(of: /enum (?:RefusalReason|DropReason)[^{]*\{([^}]*)\}/) {
                for value in block.1.matches(of: /case ([a-zA-Z]+) = "([A-Z][A-Z_]*)"/) {
                    names.insert(String(value.2))
                    raw[value.1] = String(value.2)
                }
            }
        }
        for source in sources {
            for match in source.matches(of: /[(\s]\.([a-zA-Z]+), reason: RefusalReason\.([a-zA-Z]+)\.rawValue/) {
                if let name = raw[match.2] { note(name, match.1) }
            }
        }
    }

    private mutating func note(_ reason: String, _ code: Substring) {
        let words = code.replacing(/[A-Z]/) { "_" + $0.output.lowercased() }.uppercased()
        codes[reason, default: []].insert(words == "INTERNAL_ERROR" ? "INTERNAL" : words)
    }

    /// Reasons by the tables' first column, with the second.
    static func documented(in text: String) -> [String: String] {
        var found: [String: String] = [:]
        for line in text.split(separator: "\n") {
            if let match = line.wholeMatch(of: /\| `([A-Z_]+)` \| ([^|]*) \|.*/) { found[String(match.1)] = String(match.2) }
        }
        return found
    }
}
