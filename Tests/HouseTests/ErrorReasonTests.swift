import Foundation
import Testing

/// `docs/errors.md` lists what the sources can report, no more and no less.
@Suite struct ErrorReasonTests {
    @Test func everyReasonIsDocumentedAndEveryDocumentedReasonExists() throws {
        let sources = ErrorReasons(try Repository.swiftFiles(in: ["Sources"]).map(Repository.text))
        let text = try Repository.text("docs/errors.md")
        // What is only counted has a table of its own, with two columns.
        let names = Set(text.matches(of: /\| `([A-Z_]+)` \|/).map { String($0.1) })
        #expect(sources.names.subtracting(names) == [], "not in docs/errors.md")
        #expect(names.subtracting(sources.names) == [], "in docs/errors.md, but nowhere in Sources")
        let document = ErrorReasons.documented(in: text)
        #expect(Set(sources.codes.keys).subtracting(document.keys) == [], "their rows in docs/errors.md have not seven columns")
        for (reason, row) in document {
            if let codes = sources.codes[reason] { #expect(codes.contains(row.code), "\(reason) is documented as \(row.code)") }
            let dispositions = sources.dispositions[reason] ?? []
            #expect(dispositions.isSubset(of: row.dispositions), "\(reason) is documented as \(row.dispositions), sources say \(dispositions)")
            #expect(!row.dispositions.isEmpty, "\(reason) is documented without a disposition")
        }
    }

    /// Clients go by the code and by RetryInfo (docs/wire-protocol.md, "Trying again"): so do the tables of what servers say.
    @Test func whatIsTriedAgainFollowsFromTheCode() throws {
        let servers = try #require(try Repository.text("docs/errors.md").split(separator: "## Found by the client library").first)
        for (reason, row) in ErrorReasons.documented(in: String(servers)) where row.saidBy != "`Server.start`" {
            let isPassing = row.code == "UNAVAILABLE" || row.code == "RESOURCE_EXHAUSTED" && row.hasRetryInfo
            let isDecided = row.dispositions == ["EXECUTED"]
            #expect(row.triedAgain.hasPrefix("by itself") == (isPassing && !isDecided), "\(reason): \(row.triedAgain)")
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

    @Test func findsDispositionsAndTheirDefault() {
        let source = """
            throw RPCError(.notFound, reason: "A", "text \\(of(it))", metadata: f(1))
            RPCError(
                .unavailable, reason: "B", "text",
                disposition: .notExecuted, retryDelay: .zero)
            RPCError(.unavailable, reason: "B", "text", disposition: .maybe)
            RPCError(.internalError, reason: "C", "text", disposition: disposition)
            """
        #expect(ErrorReasons([source]).dispositions == ["A": ["EXECUTED"], "B": ["NOT_EXECUTED", "MAYBE"]])
    }

    @Test func readsTheRowsOfTheDocument() throws {
        let text = """
            | reason | code |
            |---|---|
            | `A_B` | NOT_FOUND | EXECUTED | handler | no | what | - |
            | `C` | any | NOT_EXECUTED, or MAYBE | all | by itself | text; `RetryInfo` | wait |
            The `D` is no row.
            """
        let rows = ErrorReasons.documented(in: text)
        #expect(Set(rows.keys) == ["A_B", "C"])
        let row = try #require(rows["C"])
        #expect(row.code == "any" && row.dispositions == ["NOT_EXECUTED", "MAYBE"] && row.saidBy == "all")
        #expect(row.triedAgain == "by itself" && row.hasRetryInfo)
        #expect(rows["A_B"]?.dispositions == ["EXECUTED"] && rows["A_B"]?.hasRetryInfo == false)
    }
}

/// The reasons that sources name, with the status codes that stand beside them.
private struct ErrorReasons {
    private(set) var names: Set<String> = []
    /// Only of reasons that stand in the same expression as their code.
    private(set) var codes: [String: Set<String>] = [:]
    /// Only of errors that are made with their disposition in place, or with the default one.
    private(set) var dispositions: [String: Set<String>] = [:]

    /// A row of the document.
    struct Row {
        var code: String
        var dispositions: Set<String>
        var saidBy: String
        var triedAgain: String
        var hasRetryInfo: Bool
    }

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
            for match in source.matches(of: /RPCError\(\s*\.[a-zA-Z]+, reason: ("[A-Z_]+"|RefusalReason\.[a-zA-Z]+)/) {
                let name = match.1.hasPrefix("\"") ? String(match.1.dropFirst().dropLast()) : raw[match.1.dropFirst("RefusalReason.".count)]
                if let name { noteDisposition(name, Self.call(in: source[match.range.lowerBound...])) }
            }
        }
    }

    private mutating func noteDisposition(_ reason: String, _ call: Substring) {
        let words = ["notExecuted": "NOT_EXECUTED", "maybe": "MAYBE", "executed": "EXECUTED"]
        guard let given = call.firstMatch(of: /disposition: ([^,)\s]+)/) else {
            dispositions[reason, default: []].insert("EXECUTED")
            return
        }
        if given.1.hasPrefix("."), let word = words[String(given.1.dropFirst())] { dispositions[reason, default: []].insert(word) }
    }

    /// A call from its name to its closing parenthesis. Those in texts come in pairs.
    private static func call(in text: Substring) -> Substring {
        var depth = 0
        for index in text.indices {
            if text[index] == "(" { depth += 1 }
            if text[index] == ")" { depth -= 1 }
            if text[index] == ")" && depth == 0 { return text[...index] }
        }
        return text
    }

    private mutating func note(_ reason: String, _ code: Substring) {
        let words = code.replacing(/[A-Z]/) { "_" + $0.output.lowercased() }.uppercased()
        codes[reason, default: []].insert(words == "INTERNAL_ERROR" ? "INTERNAL" : words)
    }

    /// The rows by their first column.
    static func documented(in text: String) -> [String: Row] {
        var found: [String: Row] = [:]
        for line in text.split(separator: "\n") {
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            guard cells.count == 7, let name = cells[0].wholeMatch(of: /`([A-Z_]+)`/) else { continue }
            let words = cells[2].split { !($0.isLetter || $0 == "_") }.map(String.init)
            let all: Set = ["NOT_EXECUTED", "EXECUTED", "MAYBE"]
            found[String(name.1)] = Row(
                code: cells[1], dispositions: words == ["any"] ? all : all.intersection(words), saidBy: cells[3],
                triedAgain: cells[4], hasRetryInfo: cells[5].contains("RetryInfo"))
        }
        return found
    }
}
