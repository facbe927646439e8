import ArgumentParser

/// How a client verb prints what it was asked for.
enum OutputFormat: String, CaseIterable, ExpressibleByArgument {
    /// For people.
    case table
    /// ProtoJSON of the response.
    case json
    /// ProtoJSON, one item a line.
    case jsonl
    /// RFC 4180, with a line of names.
    case csv
}
