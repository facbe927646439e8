import MongoDB
import ProtoShop
import RPC
import TestSupport
import Testing

extension EndToEnd {
    /// The verbs that change products, and the one that checks them all.
    @Suite struct ProductChangesTests {
        private static let csv = """
            id,name,category,price,currency,stock
            a,Alpha,Rock,1.98,USD,10
            b,Beta,Metal,0.99,USD,20

            """

        private func withProducts(_ body: (Shell, ServerProcess) async throws -> Void) async throws {
            try await withMongod { uri in
                try await ServerProcess.with(.external(uri: uri)) { server in
                    let shell = Shell(server)
                    let imported = try await shell.run("products", "import", "-", "--format", "csv", input: Self.csv)
                    #expect(imported.end == .exited(0), "\(imported.errors)")
                    try await body(shell, server)
                }
            }
        }

        @Test func productsAreChangedAndDeleted() async throws {
            try await withProducts { shell, _ in
                let before = try await shell.json("products", "get", "a", "-o", "json")
                let version = try #require(before["product"]?.string("version"))
                let updated = try await shell.json(
                    "products", "update", "a", "--price", "2.50 USD", "--category", "Pop", "--expected-version", version, "-o", "json")
                #expect(updated["product"]?.string("name") == "Alpha" && updated["product"]?.string("category") == "Pop")
                #expect(updated["product"]?.string("stock") == "10" && updated["product"]?.string("version") != version)
                let late = try await shell.run("products", "update", "a", "--name", "Late", "--expected-version", version, "-o", "json")
                #expect(late.end == .exited(74) && late.output == "")
                #expect(try JSON(late.errors)["error"]?.string("reason") == "VERSION_MISMATCH")
                // Without a version it is the latest that is changed.
                let latest = try await shell.run("products", "update", "a", "--name", "Omega", "--description", "")
                #expect(latest.end == .exited(0) && latest.lines.contains { $0.split(separator: " ") == ["NAME", "Omega"] }, "\(latest.output)\(latest.errors)")

                #expect(try await shell.run("products", "delete", "a", "--expected-version", version).end == .exited(74))
                let deleted = try await shell.json("products", "delete", "a", "-o", "json")
                #expect(deleted["product"]?.string("name") == "Omega")
                #expect(try await shell.run("products", "delete", "a").end == .exited(69))
            }
        }

        @Test func stockIsAdjustedOnce() async throws {
            try await withProducts { shell, _ in
                let delivery = ["products", "stock", "a", "--add", "5", "--request-id", "delivery-17"]
                #expect(try await shell.run(delivery).output == "STOCK  15\n")
                #expect(try await shell.json("products", "stock", "a", "--remove", "3", "-o", "json").string("stock") == "12")
                let again = try await shell.run(delivery)
                #expect(again.output == "STOCK  15\n" && again.errors.contains("made before"))
                #expect(try await shell.run("products", "stock", "a", "--remove", "13").end == .exited(73))
                #expect(try await shell.run("products", "stock", "b", "--add", "5", "--request-id", "delivery-17").end == .exited(70))
            }
        }

        @Test func theDoctorFindsDamageAndMendsIt() async throws {
            try await withProducts { shell, server in
                let healthy = try await shell.run("doctor")
                #expect(healthy.end == .exited(0) && healthy.output == "" && healthy.errors == "2 products in 2 categories: nothing found\n")

                let pool = try ClientPool.passing(uri: server.mongodb, appName: "vandal", size: 1, timeouts: .calls)
                try pool.withClient { client throws(MongoError) in
                    let wrong = Update { update in update.document("$set") { $0.append("count", 7) } }
                    _ = try client.collection("categories", in: "orderwire").updateOne(Document { $0.append("_id", "rock") }, wrong)
                }
                let found = try await shell.run("doctor")
                #expect(found.end == .exited(1) && found.errors == "2 products in 2 categories: 1 found, 0 mended\n")
                #expect(found.lines.map { $0.split(separator: " ") } == [
                    ["FAULT", "SUBJECT", "STORED", "EXPECTED", "MENDED"], ["WRONG_COUNT", "rock", "7", "1", "no"],
                ])
                let mended = try await shell.run("doctor", "--repair", "-o", "json")
                #expect(mended.end == .exited(1) && mended.errors == "")
                let finding = try JSON(mended.output)["findings"]?[0]
                #expect(finding?.string("fault") == "CATALOG_FAULT_WRONG_COUNT" && finding?["repaired"] == .bool(true))
                #expect(try await shell.run("doctor", "-o", "json").end == .exited(0))
            }
        }

        @Test(arguments: [
            ["products", "update", "a"], ["products", "update", "a", "--price", "cheap"], ["products", "update", "--name", "x"],
            ["products", "update", "a", "--name", "x", "--expected-version", "new"], ["products", "stock", "a"],
            ["products", "stock", "a", "--add", "1", "--remove", "1"], ["products", "stock", "a", "--add", "-1"],
            ["products", "stock", "a", "--remove", "0"], ["products", "delete"], ["doctor", "--mend"],
        ])
        func aWrongCommandLineExitsWith64(arguments: [String]) async throws {
            let refused = try await Program.run(arguments)
            #expect(refused.end == .exited(64) && refused.output == "" && !refused.errors.isEmpty)
        }
    }
}
