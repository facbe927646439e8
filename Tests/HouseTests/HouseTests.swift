import Foundation
import Testing

/// Holds the repository itself to the rules.
@Suite struct HouseTests {
    @Test func importsPointDown() throws {
        try expectNone(HouseRules.importFindings)
    }

    @Test func eachCLibraryHasOneModule() throws {
        try expectNone(HouseRules.ownerFindings)
    }

    @Test func sourcesKeepGoodHabits() throws {
        try expectNone(HouseRules.habitFindings)
    }

    /// Lengths are a hint that a part wants out, so they are reported and fail nothing. Generated code is not read by people.
    @Test func lengthsAreReported() throws {
        let long = try findings(in: ["Sources", "Tests", "bench", "examples"], HouseRules.lengthFindings)
        let wide = try Repository.swiftFiles(in: ["Sources", "bench", "examples"]).flatMap {
            HouseRules.widthFindings(try Repository.text($0), path: $0)
        }
        for finding in (long + wide) where !Repository.isGenerated(finding.path) {
            Issue.record("\(finding)", severity: .warning)
        }
    }

    @Test func everyModuleOfTheTableExists() throws {
        let modules = Set(try Repository.swiftFiles(in: ["Sources"]).compactMap(HouseRules.module))
        #expect(modules == Set(HouseRules.arrows.keys))
    }

    private func expectNone(_ rule: (SwiftText, String) -> [Finding]) throws {
        let found = try findings(in: ["Sources"], rule)
        #expect(found.isEmpty, "\(found.map(\.description).joined(separator: "\n"))")
    }

    private func findings(in folders: [String], _ rule: (SwiftText, String) -> [Finding]) throws -> [Finding] {
        try Repository.swiftFiles(in: folders).flatMap { rule(SwiftText(try Repository.text($0)), $0) }
    }
}

/// The checkout these tests were built from.
enum Repository {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// Paths below the root, sorted. Build folders are left out.
    static func swiftFiles(in folders: [String]) throws -> [String] {
        try folders.flatMap { folder -> [String] in
            let path = root.appending(path: folder).path()
            guard FileManager.default.fileExists(atPath: path) else { return [] }
            return try FileManager.default.subpathsOfDirectory(atPath: path)
                .filter { $0.hasSuffix(".swift") && !$0.contains(".build") }
                .map { "\(folder)/\($0)" }
                .sorted()
        }
    }

    static func text(_ path: String) throws -> String {
        try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    static func isGenerated(_ path: String) -> Bool {
        path.contains("/Generated/") || path.hasPrefix("Sources/Proto/")
    }
}
