/// Collects indented lines of Swift.
struct SourceWriter {
    private(set) var text = ""
    private var depth = 0

    mutating func line(_ line: String = "") {
        text += line.isEmpty ? "\n" : String(repeating: "    ", count: depth) + line + "\n"
    }

    /// `opening {`, the lines that `body` writes, `}`.
    mutating func block(_ opening: String, _ body: (inout SourceWriter) -> Void) {
        line(opening + " {")
        depth += 1
        body(&self)
        depth -= 1
        line("}")
    }

    /// Lines that `body` writes, one step further in.
    mutating func indented(_ body: (inout SourceWriter) -> Void) {
        depth += 1
        body(&self)
        depth -= 1
    }

    /// One long word, inside a literal of several lines.
    mutating func wrapped(_ word: String) {
        var rest = word[...]
        while !rest.isEmpty {
            let part = rest.prefix(100)
            rest = rest.dropFirst(100)
            line(part + (rest.isEmpty ? "" : "\\"))
        }
    }

    /// A doc comment; `fallback` where the .proto has none.
    mutating func comment(_ comment: String, orElse fallback: String) {
        let text = comment.isEmpty ? fallback : comment
        for part in text.split(separator: "\n", omittingEmptySubsequences: false) {
            line(part.isEmpty ? "///" : "/// \(part)")
        }
    }
}
