internal import Glibc

/// Finds the mongod to run.
package enum MongodBinary {
    /// Where `scripts/fetch-mongod` puts the pinned version, inside the cache.
    static let cachedName = "mongod-6.0.5/mongod"

    /// In this order: what the caller names, ORDERWIRE_MONGOD, the cache, PATH.
    package static func find(_ explicit: String? = nil) throws(EmbeddedMongodError) -> String {
        if let named = explicit ?? variable("ORDERWIRE_MONGOD") {
            guard isExecutable(named) else { throw .binaryNotFound(searched: [named]) }
            return named
        }
        var candidates: [String] = []
        if let cache = cacheDirectory() { candidates.append("\(cache)/\(cachedName)") }
        for folder in (variable("PATH") ?? "").split(separator: ":") { candidates.append("\(folder)/mongod") }
        for candidate in candidates where isExecutable(candidate) { return candidate }
        throw .binaryNotFound(searched: ["ORDERWIRE_MONGOD"] + candidates.prefix(1) + ["PATH"])
    }

    /// The same rule as in the scripts: ${ORDERWIRE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/orderwire}
    static func cacheDirectory() -> String? {
        if let cache = variable("ORDERWIRE_CACHE") { return cache }
        if let caches = variable("XDG_CACHE_HOME") { return "\(caches)/orderwire" }
        return variable("HOME").map { "\($0)/.cache/orderwire" }
    }

    /// An environment variable; empty counts as unset.
    static func variable(_ name: String) -> String? {
        guard let value = getenv(name), value.pointee != 0 else { return nil }
        return String(cString: value)
    }

    private static func isExecutable(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG && access(path, X_OK) == 0
    }
}
