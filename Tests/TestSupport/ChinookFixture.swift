package import FoundationEssentials

/// The Chinook store's fixture.
package func chinookFixture() throws -> Data { try Data(contentsOf: URL(filePath: chinookFixturePath())) }

/// Where `make setup` put it: in the cache.
package func chinookFixturePath() -> String {
    func value(_ name: String) -> String? { ProcessInfo.processInfo.environment[name] }
    let cache = value("ORDERWIRE_CACHE") ?? (value("XDG_CACHE_HOME") ?? (value("HOME") ?? "") + "/.cache") + "/orderwire"
    return cache + "/chinook.json"
}
