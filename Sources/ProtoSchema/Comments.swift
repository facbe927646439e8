internal import CProto

/// The comments of a .proto file, by the path of what they stand at (see SourceCodeInfo in descriptor.proto).
struct Comments {
    private var byPath: [[Int32]: String] = [:]

    init(_ info: UnsafeMutablePointer<Google__Protobuf__SourceCodeInfo>?) {
        guard let info else { return }
        for location in elements(info.pointee.location, info.pointee.n_location) {
            let parts = [text(location.pointee.leading_comments), text(location.pointee.trailing_comments)]
            let comment = parts.map(Self.trimmed).filter { !$0.isEmpty }.joined(separator: "\n")
            guard !comment.isEmpty else { continue }
            byPath[Array(UnsafeBufferPointer(start: location.pointee.path, count: location.pointee.n_path))] = comment
        }
    }

    /// The comment at a path; empty where there is none.
    subscript(path: [Int32]) -> String { byPath[path] ?? "" }

    /// Without the blank after `//`, blanks at line ends and empty lines around.
    private static func trimmed(_ comment: String) -> String {
        var lines = comment.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            String(line.first == " " ? line.dropFirst() : line).trimmingTrailingBlanks()
        }
        while lines.last == "" { lines.removeLast() }
        while lines.first == "" { lines.removeFirst() }
        return lines.joined(separator: "\n")
    }
}

extension String {
    fileprivate func trimmingTrailingBlanks() -> String {
        String(self[..<(lastIndex { !$0.isWhitespace }.map { index(after: $0) } ?? startIndex)])
    }
}
