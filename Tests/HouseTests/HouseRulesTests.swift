import Testing

/// Plants each fault in a text and sees that the rules find it, and leave what is allowed alone.
@Suite struct HouseRulesTests {
    @Test(arguments: [
        ("Sources/RPC/A.swift", "import ProtoShop"),
        ("Sources/RPC/A.swift", "internal import ZeroMQ"),
        ("Sources/RPCClient/A.swift", "@_exported public import RPCServer"),
        ("Sources/RPCServer/A.swift", "import struct Shop.Catalog"),
        ("Sources/Shop/A.swift", "import CMongoC"),
        ("Sources/Shop/A.swift", "import RPCClient"),
        ("Sources/Protobuf/A.swift", "import ProtoRuntime"),
        ("Sources/Proto/Runtime/A.swift", "import RPC"),
        ("Sources/RPCClient/A.swift", "import Logging"),
        ("Sources/ZeroMQ/A.swift", "import Foundation"),
    ]) func findsAnArrowThatPointsUp(path: String, source: String) {
        #expect(HouseRules.importFindings(SwiftText(source), path: path).count == 1)
    }

    @Test(arguments: [
        ("Sources/RPC/A.swift", "public import ProtoRuntime\nimport Glibc\n// import Shop\nlet text = \"import Shop\""),
        ("Sources/ZeroMQ/A.swift", "internal import CZeroMQ"),
        ("Sources/Proto/Shop/A.swift", "@_implementationOnly import CProto"),
        ("Tests/ShopTests/A.swift", "import Shop"),
    ]) func allowsAnArrowThatPointsDown(path: String, source: String) {
        #expect(HouseRules.importFindings(SwiftText(source), path: path) == [])
    }

    @Test func findsAModuleOutsideTheTable() {
        #expect(HouseRules.importFindings(SwiftText(""), path: "Sources/Utils/A.swift").count == 1)
    }

    @Test func findsACallOfACLibraryOutsideItsModule() {
        let text = SwiftText("let version = zmq_version_of(1)\nlet s = \"zmq_close\" // zmq_close")
        #expect(HouseRules.ownerFindings(text, path: "Sources/RPCServer/A.swift").map(\.line) == [1])
        #expect(HouseRules.ownerFindings(text, path: "Sources/ZeroMQ/A.swift") == [])
    }

    @Test(arguments: [
        "print(1)", "  print (1); print(2)", "debugPrint(x)", "let x = try? f()", "try! f()", "let y = x as! Int", "let y = x!",
        "f(x)!.g()", "a[0]! += 1", "let s = \"\\(x!)\"", "let y = x! // because", "let s = #\"\\#(try? f())\"#",
    ]) func findsABadHabit(source: String) {
        #expect(!HouseRules.habitFindings(SwiftText(source), path: "A.swift").isEmpty)
    }

    @Test(arguments: [
        "blueprint(1)", "for case let entry? in x {}", "writer.print(1)", "// print(1)", "/* try? /* x! */ print(1) */ let a = 1", "let s = \"try? print(x!)\"",
        "if a != b {}", "if !a {}", "let s = \"\"\"\n  print(1) \"x\"!\n  \"\"\"", "let y = x!  // never nil: set in init",
        "p.baseAddress!.pointee", "let s = #\"say \"print(1)\" try!\"#", "let s = \"a \\\" print(1)\"", "f(\"\\(g(\"(\"))\", !a)",
    ]) func leavesAGoodHabitAlone(source: String) {
        #expect(HouseRules.habitFindings(SwiftText(source), path: "A.swift") == [])
    }

    @Test func measuresFunctionsByTheirBraces() {
        let body = String(repeating: "    a += 1 // }\n", count: HouseRules.longestFunction)
        let long = "struct S {\n  func f(\n    x: Int\n  ) -> Int {\n\(body)  }\n  init() { self.init(1) }\n}\n"
        #expect(HouseRules.functions(SwiftText(long)).map(\.length) == [HouseRules.longestFunction + 4, 1])
        #expect(HouseRules.lengthFindings(SwiftText(long), path: "A.swift").map(\.line) == [2])
    }

    @Test func measuresFilesAndLines() {
        let file = String(repeating: "\n", count: HouseRules.longestFile + 1)
        #expect(HouseRules.lengthFindings(SwiftText(file), path: "A.swift").count == 1)
        #expect(HouseRules.lengthFindings(SwiftText(String(file.dropLast())), path: "A.swift") == [])
        #expect(HouseRules.widthFindings(String(repeating: "x", count: HouseRules.widestLine + 1), path: "A.swift").count == 1)
    }

    @Test func theTableOfLayersHasNoCycle() {
        var settled: Set<String> = ["CZeroMQ", "CMongoC", "CProtobufC", "CProto"]
        var rest = HouseRules.arrows
        while let next = rest.first(where: { $0.value.isSubset(of: settled) }) {
            settled.insert(next.key)
            rest[next.key] = nil
        }
        #expect(rest.keys.sorted() == [])
    }
}
