import ProtoShop
import RPC
import TestSupport
import Testing

extension EndToEnd {
    /// The program's verbs as scripts use them: exit codes, forms of output, where errors go.
    @Suite struct CommandLineTests {
        @Test func everyVerbAgainstAServer() async throws {
            try await ServerProcess.with(.external(uri: TestMongo.shared.uri)) { server in
                let shell = Shell(server)
                try await importsProducts(shell)
                try await listsAndGetsProducts(shell)
                try await filtersProducts(shell)
                try await failedCallsHaveTheirCodes(shell)
                try await sameKeySaysReplayed(shell)
                try await listsOrders(shell)
                try await watchReceives(shell)
                try await healthAnswers(shell)
                try await firstServerThatAnswersIsUsed(server)
            }
        }

        private func importsProducts(_ shell: Shell) async throws {
            let csv = #"""
                id,name,category,price,currency,stock
                a,"Comma, the ""best""",Rock,1.98,USD,10
                b,Plain,Metal,0.99,USD,20

                """#
            let imported = try await shell.run("products", "import", "-", "--format", "csv", input: csv)
            #expect(imported.end == .exited(0), "\(imported.errors)")
            #expect(imported.output == "2 inserted, 0 replaced, 0 refused\n")
            let lines = #"{"id":"b","name":"Plain","category":"Metal","price":{"currencyCode":"USD","nanos":990000000},"stock":"20"}"#
            let again = try await shell.run("products", "import", "-", "-o", "json", input: lines + "\n")
            #expect(again.output == #"{"inserted":0,"replaced":1,"refused":0}"# + "\n", "\(again.errors)")
            let bad = try await shell.run("products", "import", "-", input: #"{"id":"no good","name":"x"}"# + "\n")
            #expect(bad.end == .exited(67), "\(bad.errors)")
            let half = "id,name,category,price,stock\nb,Plain,Metal,0.99,20\nc,Bad,Rock,cheap,1\n"
            let refused = try await shell.run("products", "import", "-", input: half)
            #expect(refused.end == .exited(67) && refused.output == "0 inserted, 1 replaced, 1 refused\n")
            #expect(refused.errors.contains("line 3: price: 'cheap'"), "\(refused.errors)")
        }

        private func listsAndGetsProducts(_ shell: Shell) async throws {
            let table = try await shell.run("products", "list")
            #expect(table.end == .exited(0))
            #expect(table.lines.map { $0.split(separator: " ").first } == ["ID", "a", "b"])
            #expect(table.errors == "2 products, page 1 of 1\n")

            let json = try await shell.json("products", "list", "--category", "ROCK", "-o", "json")
            #expect(json.string("totalSize") == "1", "int64 is a string")
            let lines = try await shell.run("products", "list", "--order-by", "price", "-o", "jsonl")
            #expect(try lines.lines.map { try JSON(String($0)).string("id") } == ["b", "a"])
            #expect(lines.errors == "")
            let csv = try await shell.run("products", "list", "-o", "csv")
            #expect(csv.output == [
                "id,name,category,price,currency,stock", #"a,"Comma, the ""best""",Rock,1.98,USD,10"#, "b,Plain,Metal,0.99,USD,20", "",
            ].joined(separator: "\r\n"))

            let first = try await shell.json("products", "list", "--page-size", "1", "-o", "json")
            let token = try #require(first.string("nextPageToken"))
            let second = try await shell.run("products", "list", "--page-size", "1", "--page-token", token, "-o", "jsonl")
            #expect(try second.lines.map { try JSON(String($0)).string("id") } == ["b"])

            let product = try await shell.json("products", "get", "a", "-o", "json")
            #expect(product["product"]?.string("name") == #"Comma, the "best""#)
            let several = try await shell.run("products", "get", "b", "nosuch", "a", "-o", "jsonl")
            #expect(try several.lines.map { try JSON(String($0)).string("id") } == ["b", "a"])
            #expect(several.end == .exited(69) && several.errors.contains("nosuch"))
        }

        private func filtersProducts(_ shell: Shell) async throws {
            for (arguments, ids) in [
                (["--in-stock", "--name-prefix", "PLÁ"], ["b"]), (["--name-prefix", "x"], []),
                (["--order-by", "price", "--min-price", "0.99", "--max-price", "1.97", "--currency", "USD"], ["b"]),
                (["--order-by", "price desc", "--max-price", "1.98", "--currency", "usd"], ["a", "b"]),
            ] as [([String], [String])] {
                let found = try await shell.run(["products", "list", "-o", "jsonl"] + arguments)
                #expect(try found.lines.map { try JSON(String($0)).string("id") } == ids, "\(arguments): \(found.errors)")
            }
            let uncounted = try await shell.json("products", "list", "--in-stock", "-o", "json")
            #expect(uncounted.string("totalMode") == "TOTAL_MODE_NONE" && uncounted.string("totalSize") == nil)
            let counted = try await shell.json("products", "list", "--in-stock", "--total", "exact", "-o", "json")
            #expect(counted.string("totalMode") == "TOTAL_MODE_EXACT" && counted.string("totalSize") == "2")
            let people = try await shell.run("products", "list", "--total", "none")
            #expect(people.errors == "page 1\n")
            let refused = try await shell.run("products", "list", "--name-prefix", "t", "--order-by", "price")
            #expect(refused.end == .exited(67) && refused.errors.contains("order_by \"name\" or \"name desc\" with any of category"))
            #expect(try await shell.run("products", "list", "--min-price", "1", "--order-by", "price").end == .exited(64))
        }

        private func failedCallsHaveTheirCodes(_ shell: Shell) async throws {
            let invalid = try await shell.run("products", "list", "--page-size", "-1")
            #expect(invalid.end == .exited(67) && invalid.errors.hasPrefix("orderwire: INVALID_ARGUMENT INVALID_FIELD: "))
            let both = try await shell.run("products", "list", "--page", "1", "--page-token", "x", "-o", "json")
            #expect(both.end == .exited(67) && both.output == "")

            let missing = try await shell.run("products", "get", "nosuch", "-o", "json")
            #expect(missing.end == .exited(69) && missing.output == "")
            let error = try #require(try JSON(missing.errors)["error"])
            #expect(error.string("code") == "NOT_FOUND" && error.string("disposition") == "EXECUTED")
            #expect(try await shell.run("orders", "get", "AAAAAAAAAAAAAAAAAAAAAAAAAA").end == .exited(69))

            let away = try await shell.run("products", "list", "--server", ServerProcess.freeEndpoint(), "--timeout", "300ms", "-o", "csv")
            #expect(away.end == .exited(78) || away.end == .exited(68), "\(away.errors)")
            #expect(try JSON(away.errors)["error"]?.string("disposition") == "NOT_EXECUTED")
        }

        private func sameKeySaysReplayed(_ shell: Shell) async throws {
            let arguments = ["orders", "submit", "--item", "a=2", "--item", "b=1", "--key", "basket-1", "-o", "json"]
            let first = try await shell.json(arguments + ["--wait", "--timeout", "60s"])
            let order = try #require(first["order"])
            #expect(order.string("state") == "ORDER_STATE_FULFILLED")
            #expect(first["replayed"] == nil)
            let again = try await shell.json(arguments)
            #expect(again["replayed"] == .bool(true))
            #expect(again["order"]?.string("id") == order.string("id"))
            let people = try await shell.run(Array(arguments.dropLast(2)))
            #expect(people.errors == "This key had been submitted before; this is that order.\n")

            let other = try await shell.run("orders", "submit", "--item", "a=3", "--key", "basket-1", "-o", "json")
            #expect(other.end == .exited(70))
            #expect(try JSON(other.errors)["error"]?.string("reason") == "IDEMPOTENCY_KEY_REUSED")

            let id = try #require(order.string("id"))
            #expect(try await shell.json("orders", "get", id, "-o", "json")["order"]?.string("sequence") == order.string("sequence"))
            #expect(try await shell.json("orders", "wait", id, "-o", "json")["order"]?.string("state") == "ORDER_STATE_FULFILLED")
            // Somebody else's order is as good as none.
            let foreign = try await shell.run("orders", "get", id, "--client", "somebody-else")
            #expect(foreign.end == .exited(69))
        }

        private func listsOrders(_ shell: Shell) async throws {
            // Of an hour without orders, and of the present one.
            let none = try await shell.json("orders", "list", "--before", "1h", "-o", "json", "--client", "lister")
            #expect(none["orders"] == nil)
            for key in ["list-1", "list-2"] {
                #expect(try await shell.run("orders", "submit", "--item", "nosuch=1", "--key", key, "--wait", "--timeout", "60s", "--client", "lister").end == .exited(0))
            }
            let rejected = ["orders", "list", "--state", "rejected", "--after", "2020-01-01T00:00:00Z", "--client", "lister"]
            let first = try await shell.json(rejected + ["--page-size", "1", "-o", "json"])
            #expect(first["orders"]?[0]?.string("idempotencyKey") == "list-2")
            let token = try #require(first.string("nextPageToken"))
            let second = try await shell.run(rejected + ["--page-size", "1", "--page-token", token, "-o", "jsonl"])
            #expect(try second.lines.map { try JSON(String($0)).string("idempotencyKey") } == ["list-1"])
            let all = try await shell.run(rejected + ["--page-size", "1", "--all", "-o", "jsonl"])
            #expect(try all.lines.map { try JSON(String($0)).string("idempotencyKey") } == ["list-2", "list-1"])
            let table = try await shell.run("orders", "list", "--page-size", "1", "--after", "1h", "--client", "lister")
            #expect(table.lines.first?.hasPrefix("ORDER ") == true && table.errors.contains("next: --page-token "))
            #expect(try await shell.run("orders", "list", "--client", "somebody-else", "-o", "jsonl").output == "")
        }

        private func watchReceives(_ shell: Shell) async throws {
            let watch = try await shell.start("orders", "watch", "--group", "mailer", "--after", "0", "--count", "2", "-o", "jsonl")
            let first = try JSON(try #require(await watch.nextLine()))
            #expect(first.string("idempotencyKey") == "basket-1", "what was there before")
            #expect(try await shell.run("orders", "submit", "--item", "a=1", "--key", "basket-2").end == .exited(0))
            let second = try JSON(try #require(await watch.nextLine()))
            #expect(second.string("idempotencyKey") == "basket-2" && second.string("state") == "ORDER_STATE_FULFILLED")
            #expect(await watch.ended() == .exited(0))

            // What was printed is dealt with: the next watch goes on after it.
            #expect(try await shell.run("orders", "submit", "--item", "a=1", "--key", "basket-3").end == .exited(0))
            let next = try await shell.run("orders", "watch", "--group", "mailer", "--count", "1", "-o", "jsonl")
            #expect(next.end == .exited(0) && next.output.contains("basket-3"))

            // Ctrl-C stops at once.
            let endless = try await shell.start("orders", "watch", "--group", "endless", "--after", "0")
            #expect(await endless.nextLine() != nil)
            endless.signal(2)
            let end = await endless.ended()
            #expect(end == .killed(2) || end == .exited(130))
        }

        private func healthAnswers(_ shell: Shell) async throws {
            let healthy = try await shell.run("health")
            #expect(healthy.end == .exited(0) && healthy.output == "SERVING\n")
            #expect(try await shell.json("health", "-o", "json").string("status") == "SERVING")
            let nobody = try await shell.run("health", "--server", ServerProcess.freeEndpoint(), "--timeout", "300ms")
            #expect(nobody.end == .exited(4) && nobody.output == "")
            let impatient = try await shell.run("health", "--server", ServerProcess.freeEndpoint(), "--wait", "300ms")
            #expect(impatient.end == .exited(4))

            // Asked before the server is started.
            let endpoint = ServerProcess.freeEndpoint()
            let waiting = try await ChildProcess.start(Program.path, ["health", "--server", endpoint, "--wait", "60s"])
            try await ServerProcess.with(.external(uri: TestMongo.shared.uri), at: endpoint) { _ in
                #expect(await waiting.ended() == .exited(0))
            }
        }

        private func firstServerThatAnswersIsUsed(_ server: ServerProcess) async throws {
            let list = "\(ServerProcess.freeEndpoint()),\(server.endpoint)"
            #expect(try await Program.run(["products", "get", "a"], environment: ["ORDERWIRE_SERVER": list]).end == .exited(0))
            // The flag wins over the environment.
            let environment = ["ORDERWIRE_SERVER": ServerProcess.freeEndpoint()]
            #expect(try await Program.run(["health", "--server", server.endpoint], environment: environment).end == .exited(0))
        }

        @Test func itsFaceWithoutAServer() async throws {
            let version = try await Program.run(["version"])
            #expect(version.end == .exited(0) && version.output.hasPrefix("orderwire "))
            let verbs = [
                [], ["serve"], ["products"], ["products", "list"], ["products", "get"], ["products", "import"], ["products", "generate"],
                ["products", "update"], ["products", "stock"], ["products", "delete"], ["doctor"], ["orders"], ["orders", "submit"],
                ["orders", "get"], ["orders", "wait"], ["orders", "watch"], ["call"], ["list"], ["describe"], ["health"], ["completion"],
            ]
            for verb in verbs {
                let help = try await Program.run(verb + ["--help"])
                #expect(help.end == .exited(0) && help.lines.dropFirst().first == "Examples:", "\(verb): \(help.output)")
            }
            for shell in ["bash", "zsh", "fish"] {
                let script = try await Program.run(["completion", shell])
                #expect(script.end == .exited(0) && script.output.contains("CatalogService/ListProducts"), "\(shell)")
            }
        }

        @Test(arguments: [
            ["nonsense"], ["products", "list", "--page", "x"], ["products", "list", "--timeout", "5"], ["products", "list", "-o", "xml"],
            ["products", "import", "/no/such/file"], ["products", "generate", "--count", "-1"], ["products", "import", "-", "--resume"],
            ["orders", "submit"], ["orders", "submit", "--item", "a"], ["orders", "list", "--state", "lost"], ["orders", "list", "--after", "noon"],
            ["orders", "requeue"], ["orders", "requeue", "X", "--all"], ["serve", "--retention", "1m"], ["serve", "--max-backlog", "0s"],
            ["orders", "watch", "--group", "Not A Name"], ["health", "--wait", "x"], ["health", "--server", "here"],
            ["list", "--metadata", "novalue"], ["describe", "-o", "csv"], ["call"], ["call", "ListProducts", "-o", "csv"],
            ["serve", "--mongodb", "mysql://x"], ["serve", "--listen", "nowhere"], ["serve", "--workers", "0"],
            ["serve", "--events", "tcp://x"], ["serve", "--events", "tcp://127.0.0.1:9-8"],
        ])
        func aWrongCommandLineExitsWith64(arguments: [String]) async throws {
            let refused = try await Program.run(arguments)
            #expect(refused.end == .exited(64) && refused.output == "" && !refused.errors.isEmpty)
        }

        @Test func aServerThatCannotStartSaysWhy() async throws {
            // Nobody listens there.
            let start = ContinuousClock.now
            let away = try await Program.run(["serve", "--listen", ServerProcess.freeEndpoint(), "--mongodb", "mongodb://127.0.0.1:9"])
            #expect(away.end == .exited(1))
            #expect(away.errors.contains("orderwire: the server cannot start: no MongoDB answers within 4 s: "), "\(away.errors)")
            #expect(ContinuousClock.now - start < .seconds(10), "4 s, and time to start on a busy machine")
            try await ServerProcess.with(.external(uri: TestMongo.shared.uri)) { server in
                let taken = try await Program.run(["serve", "--listen", server.endpoint, "--mongodb", TestMongo.shared.uri])
                #expect(taken.end == .exited(1))
                #expect(taken.errors.contains("the server cannot start"))
            }
        }
    }
}
