/// A Swift source whose comments and string contents are blanked out, line for line, so that rules see code alone.
///
/// Code inside an interpolation stays. The comments are kept apart, by line, for rules that ask for a reason.
struct SwiftText {
    /// The code of each line, from the first on.
    private(set) var code: [String] = [""]
    /// The comment text of each line; empty where there is none.
    private(set) var comments: [String] = [""]

    private enum Mode {
        case code
        case lineComment
        case blockComment(depth: Int)
        /// In a literal that closes with `quotes` quotes and `hashes` hashes.
        case string(quotes: Int, hashes: Int)
        /// In an interpolation that ends with its closing parenthesis.
        case interpolation(openParentheses: Int)
    }

    init(_ source: String) {
        let characters = Array(source)
        var modes = [Mode.code]
        var index = 0
        while index < characters.count {
            index += Self.step(characters[index...], modes: &modes, text: &self)
        }
    }

    /// Consumes what stands at the front of `rest` and returns how many characters that was.
    private static func step(_ rest: ArraySlice<Character>, modes: inout [Mode], text: inout SwiftText) -> Int {
        let mode = modes[modes.count - 1]
        if let first = rest.first, !first.isNewline, !marks.contains(first) {
            text.take(first, mode)
            return 1
        }
        if rest.first?.isNewline == true {
            if case .lineComment = mode { modes.removeLast() }
            text.code.append("")
            text.comments.append("")
            return 1
        }
        switch mode {
        case .lineComment:
            text.comment(rest.prefix(1))
            return 1
        case .blockComment(let depth):
            if rest.starts(with: "*/") {
                modes.removeLast()
                if depth > 1 { modes.append(.blockComment(depth: depth - 1)) }
                return 2
            }
            if rest.starts(with: "/*") {
                modes[modes.count - 1] = .blockComment(depth: depth + 1)
                return 2
            }
            text.comment(rest.prefix(1))
            return 1
        case .string(let quotes, let hashes):
            return stepInString(rest, quotes: quotes, hashes: hashes, modes: &modes, text: &text)
        case .code, .interpolation:
            return stepInCode(rest, modes: &modes, text: &text)
        }
    }

    /// Characters that can begin or end something; all others only belong to what they are in.
    private static let marks: Set<Character> = ["/", "*", "\"", "\\", "#", "(", ")"]

    private mutating func take(_ character: Character, _ mode: Mode) {
        switch mode {
        case .code, .interpolation: code[code.count - 1].append(character)
        case .lineComment, .blockComment: comments[comments.count - 1].append(character)
        case .string: break
        }
    }

    private static func stepInString(
        _ rest: ArraySlice<Character>, quotes: Int, hashes: Int, modes: inout [Mode], text: inout SwiftText
    ) -> Int {
        let hashMarks = String(repeating: "#", count: hashes)
        let end = String(repeating: "\"", count: quotes) + hashMarks
        let escape = "\\" + hashMarks
        if rest.starts(with: end) {
            modes.removeLast()
            text.append("\"")
            return end.count
        }
        if rest.starts(with: escape + "(") {
            modes.append(.interpolation(openParentheses: 1))
            text.append("(")
            return escape.count + 1
        }
        if rest.starts(with: escape) {
            // The character after an escape belongs to it, a quote above all; a newline is handled by the caller.
            return rest.dropFirst(escape.count).first?.isNewline == false ? escape.count + 1 : escape.count
        }
        return 1
    }

    private static func stepInCode(_ rest: ArraySlice<Character>, modes: inout [Mode], text: inout SwiftText) -> Int {
        if rest.starts(with: "//") {
            modes.append(.lineComment)
            return 2
        }
        if rest.starts(with: "/*") {
            modes.append(.blockComment(depth: 1))
            return 2
        }
        let hashes = rest.prefix { $0 == "#" }.count
        let afterHashes = rest.dropFirst(hashes)
        if afterHashes.first == "\"" {
            let quotes = afterHashes.starts(with: "\"\"\"") ? 3 : 1
            modes.append(.string(quotes: quotes, hashes: hashes))
            text.append("\"")
            return hashes + quotes
        }
        if case .interpolation(let open) = modes[modes.count - 1] {
            let change = rest.first == "(" ? 1 : rest.first == ")" ? -1 : 0
            if open + change == 0 { modes.removeLast() } else { modes[modes.count - 1] = .interpolation(openParentheses: open + change) }
        }
        text.append(rest.prefix(1))
        return 1
    }

    private mutating func append(_ characters: some Sequence<Character>) {
        code[code.count - 1].append(contentsOf: characters)
    }

    private mutating func comment(_ characters: some Sequence<Character>) {
        comments[comments.count - 1].append(contentsOf: characters)
    }
}
