package import FoundationEssentials

/// The Chinook store's fixture, which `make setup` put into the cache.
package func chinookFixture() throws -> Data {
    func value(_ name: String) -> String? { ProcessInfo.processInfo.environment[name] }
    let cache = value("ORDERWIRE_CACHE") ?? (value("XDG_CACHE_HOME") ?? (value("HOME") ?? "") + "/.cache") + "/orderwire"
    return try Data(contentsOf: URL(filePath: cache + "/chinook.json"))
}
