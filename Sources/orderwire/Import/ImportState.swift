import FoundationEssentials
import Glibc

/// How far an import has come: what is written beside the file while it runs, so that it can go on after its end in whatever way.
struct ImportState: Codable, Equatable {
    /// What the place and the numbers below belong to. An import of anything else cannot go on there.
    struct Source: Codable, Equatable {
        var file: FileIdentity
        var format: ProductFile.Format
        /// What `--stock` says.
        var stock: Int64?
        var servers: [String]
        /// The file for rejected rows.
        var rejects: String?
    }

    var source: Source
    /// Everything before it was stored or refused by the server, or is no product.
    var mark: ImportMark
    var tally = ImportTally()
    /// Size of the file of rejected rows.
    var rejectsSize = 0

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// Reads a state; nil where there is none.
    static func read(_ path: String) throws(UsageError) -> ImportState? {
        guard exists(path) else { return nil }
        do {
            return try JSONDecoder().decode(ImportState.self, from: Data(try InputFile.read(path)))
        } catch let error as UsageError {
            throw error
        } catch {
            throw UsageError("\(path) is no state of an import. Without --resume, the import begins anew.")
        }
    }

    /// Writes the state in place of the last one, as a whole or not at all.
    func write(_ path: String) throws(UsageError) {
        let temporary = path + ".new"
        do {
            let encoder = JSONEncoder()
            encoder.outputFormatting = .sortedKeys
            let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
            guard descriptor >= 0 else { throw UsageError("\(temporary): \(String(cString: strerror(errno)))") }
            defer { close(descriptor) }
            try OutputFile.write(Array(try encoder.encode(self)), to: descriptor, temporary)
            guard rename(temporary, path) == 0 else { throw UsageError("\(path): \(String(cString: strerror(errno)))") }
        } catch let error as UsageError {
            throw error
        } catch {
            throw UsageError("\(path): \(error)")
        }
    }

    /// Removes the state of an import that is done.
    static func remove(_ path: String) throws(UsageError) {
        guard unlink(path) == 0 || errno == ENOENT else { throw UsageError("\(path): \(String(cString: strerror(errno)))") }
    }

    /// Says why an import of `other` cannot go on here; nil where it can.
    func mismatch(with other: Source) -> String? {
        if source.file != other.file { return "the file has changed since, or is another one" }
        if source.format != other.format { return "it was read as \(source.format.rawValue) then" }
        if source.stock != other.stock { return "--stock was \(source.stock.map(String.init) ?? "not given") then" }
        if source.servers != other.servers { return "it went to \(source.servers.joined(separator: ",")) then" }
        if source.rejects != other.rejects { return "--rejects was \(source.rejects ?? "not given") then" }
        return nil
    }
}

/// What became of rows.
struct ImportTally: Codable, Equatable {
    var inserted = 0
    var replaced = 0
    var refused = 0

    var rows: Int { inserted + replaced + refused }
}
