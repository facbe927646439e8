/// Something a file does that the house does not do.
struct Finding: Equatable, CustomStringConvertible {
    let path: String
    /// From 1.
    let line: Int
    let what: String

    var description: String { "\(path):\(line): \(what)" }
}

/// The rules every source file keeps. They look at text, and know the layout of `docs/design.md` by the tables below.
enum HouseRules {
    /// Who may import whom among our own modules: the arrows point down.
    ///
    /// A module that is not in this table may not exist.
    static let arrows: [String: Set<String>] = [
        "ZeroMQ": ["CZeroMQ"],
        "MongoDB": ["CMongoC"],
        "Protobuf": ["CProtobufC"],
        "ProtoRuntime": ["CProto", "Protobuf"],
        "RPC": ["Protobuf", "ProtoRuntime"],
        "ProtoEcho": ["CProto", "Protobuf", "RPC"],
        "ProtoShop": ["CProto", "Protobuf", "RPC", "ProtoRuntime"],
        "RPCServer": ["RPC", "ZeroMQ", "Protobuf", "ProtoRuntime"],
        "RPCClient": ["RPC", "ZeroMQ", "Protobuf", "ProtoRuntime"],
        "EmbeddedMongoDB": ["MongoDB"],
        "ShopClient": ["RPC", "RPCClient", "Protobuf", "ProtoRuntime", "ProtoShop"],
        "Terminal": [],
        "CatalogGenerator": ["RPC", "ProtoShop"],
        "Shop": ["RPC", "RPCServer", "Protobuf", "ProtoRuntime", "ProtoShop", "MongoDB"],
        "orderwire": [
            "Terminal", "Shop", "ShopClient", "RPC", "RPCServer", "RPCClient", "Protobuf", "ProtoRuntime", "ProtoShop", "ProtoSchema",
            "EmbeddedMongoDB", "MongoDB", "CatalogGenerator",
        ],
        "ProtoSchema": ["CProto", "Protobuf"],
        "protoc-gen-orderwire": ["CProto", "Protobuf", "ProtoSchema"],
    ]

    /// What a module may import from other packages, and from `examples`. Everything else is the toolchain's.
    static let packages: [String: Set<String>] = [
        "RPCServer": ["Logging", "DequeModule", "HeapModule"],
        "RPCClient": ["DequeModule", "HeapModule"],
        "Shop": ["Logging", "Crypto", "DequeModule"],
        "orderwire": ["Logging", "ArgumentParser", "ChinookData"],
    ]

    static let toolchain: Set<String> = ["Swift", "Glibc", "CLinux", "Synchronization", "FoundationEssentials"]

    /// The only module that may name a C library's functions.
    static let owners: [(prefix: String, module: String)] = [
        ("zmq_", "ZeroMQ"), ("mongoc_", "MongoDB"), ("bson_", "MongoDB"), ("protobuf_c_", "Protobuf"),
    ]

    /// A `!` needs a comment on its line that begins so and says why.
    static let unwrapReason = "never nil:"

    static let longestFile = 400
    static let longestFunction = 70
    static let widestLine = 160

    // MARK: Imports

    /// The module a file belongs to, by its path below the root; nil where it is in no module of `Sources`.
    static func module(of path: String) -> String? {
        let parts = path.split(separator: "/").map(String.init)
        guard parts.count > 2, parts[0] == "Sources" else { return nil }
        return parts[1] == "Proto" ? "Proto" + parts[2] : parts[1]
    }

    static func importFindings(_ text: SwiftText, path: String) -> [Finding] {
        guard let module = module(of: path) else { return [] }
        guard let below = arrows[module] else {
            return [Finding(path: path, line: 1, what: "module \(module) is not in the table of layers")]
        }
        let allowed = below.union(packages[module] ?? []).union(toolchain)
        return imports(text).compactMap { line, name in
            allowed.contains(name) ? nil : Finding(path: path, line: line, what: "\(module) may not import \(name)")
        }
    }

    /// The modules a file imports, with their lines.
    static func imports(_ text: SwiftText) -> [(line: Int, name: String)] {
        let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "typealias", "func", "let", "var", "actor"]
        return text.code.enumerated().compactMap { index, line in
            let words = line.split(whereSeparator: \.isWhitespace)
            guard let start = words.firstIndex(of: "import"),
                words[..<start].allSatisfy({ $0.hasPrefix("@") || ["public", "package", "internal", "fileprivate", "private"].contains($0) }),
                var name = words.dropFirst(start + 1).first
            else { return nil }
            if kinds.contains(name), let next = words.dropFirst(start + 2).first { name = next }
            return (index + 1, String(name.prefix { $0 != "." && $0 != ";" }))
        }
    }

    /// Calls of a C library outside the one module that wraps it.
    static func ownerFindings(_ text: SwiftText, path: String) -> [Finding] {
        guard let module = module(of: path) else { return [] }
        return text.code.enumerated().flatMap { index, line in
            owners.compactMap { prefix, owner in
                module != owner && words(line).contains { $0.hasPrefix(prefix) }
                    ? Finding(path: path, line: index + 1, what: "only \(owner) may call \(prefix)*") : nil
            }
        }
    }

    // MARK: Habits

    /// `print`, `try?`, `try!` and forced unwraps and casts without a reason.
    static func habitFindings(_ text: SwiftText, path: String) -> [Finding] {
        text.code.enumerated().flatMap { index, line -> [Finding] in
            var found: [String] = []
            if has("print(", in: line) || has("debugPrint(", in: line) { found.append("print: use the logger or the output") }
            if has("try?", in: line) { found.append("try? swallows an error") }
            if has("try!", in: line) { found.append("try! crashes on an error") }
            if has("as!", in: line) { found.append("as! crashes on another type") }
            let reasoned = text.comments[index].drop(while: \.isWhitespace).hasPrefix(unwrapReason)
            if !reasoned, hasUnwrap(line) { found.append("! needs a comment '// \(unwrapReason) ...' on its line") }
            return found.map { Finding(path: path, line: index + 1, what: $0) }
        }
    }

    /// Whether the word is there, and not as the end of another or the member of something.
    private static func has(_ word: String, in line: String) -> Bool {
        var rest = Substring(line)
        while let range = rest.firstRange(of: word) {
            let before = line[..<range.lowerBound].last
            if before != ".", !isNamePart(before) { return true }
            rest = rest[range.upperBound...]
        }
        return false
    }

    /// A `!` directly after a name or a closing bracket, which is not part of `!=`, `try!` or `as!`.
    ///
    /// `baseAddress!` inside a closure over a buffer of known length is the language's own idiom.
    private static func hasUnwrap(_ line: String) -> Bool {
        let characters = Array(line)
        return characters.indices.contains { index in
            guard characters[index] == "!", index > 0 else { return false }
            let before = characters[index - 1]
            guard isNamePart(before) || ")]}\"".contains(before) else { return false }
            if index + 1 < characters.count, characters[index + 1] == "=" { return false }
            let name = String(characters[..<index].reversed().prefix { isNamePart($0) }.reversed())
            return !["try", "as", "baseAddress"].contains(name)
        }
    }

    // MARK: Lengths

    static func lengthFindings(_ text: SwiftText, path: String) -> [Finding] {
        var found: [Finding] = []
        let lines = text.code.last == "" ? text.code.count - 1 : text.code.count
        if lines > longestFile {
            found.append(Finding(path: path, line: lines, what: "\(lines) lines in a file; \(longestFile) are much"))
        }
        for (line, length) in functions(text) where length > longestFunction {
            found.append(Finding(path: path, line: line, what: "\(length) lines in a function; \(longestFunction) are much"))
        }
        return found
    }

    static func widthFindings(_ source: String, path: String) -> [Finding] {
        source.split(separator: "\n", omittingEmptySubsequences: false).enumerated().compactMap { index, line in
            line.count > widestLine
                ? Finding(path: path, line: index + 1, what: "\(line.count) characters in a line; \(widestLine) are much") : nil
        }
    }

    /// First line and number of lines of each function with a body.
    static func functions(_ text: SwiftText) -> [(line: Int, length: Int)] {
        var open: [(line: Int, depth: Int)] = []
        var found: [(line: Int, length: Int)] = []
        var pending: Int?
        var depth = 0
        for (index, line) in text.code.enumerated() {
            let names = words(line)
            if names.contains("func") || names.contains("deinit") || (names.contains("init") && declaresInit(line)) { pending = index }
            for character in line {
                if character == "{" {
                    depth += 1
                    if let start = pending {
                        open.append((start, depth))
                        pending = nil
                    }
                } else if character == "}" {
                    if let last = open.last, last.depth == depth {
                        found.append((last.line + 1, index - last.line + 1))
                        open.removeLast()
                    }
                    depth -= 1
                }
            }
        }
        return found.sorted { $0.line < $1.line }
    }

    private static func declaresInit(_ line: String) -> Bool {
        guard let range = line.firstRange(of: "init") else { return false }
        let before = line[..<range.lowerBound].last
        return before == nil || before == " "
    }

    private static func words(_ line: String) -> [Substring] {
        line.split { !isNamePart($0) }
    }

    private static func isNamePart(_ character: Character?) -> Bool {
        guard let character else { return false }
        return character.isLetter || character.isNumber || character == "_"
    }
}
