import CatalogGenerator
import FoundationEssentials
import Glibc
import ProtoShop
import RPC
import RPCClient
import TestSupport
import Testing

extension EndToEnd {
    /// kill -9 of the client, of the server, and of the server's MongoDB in the middle of an import: no row is lost, counts stay exact.
    @Suite struct ImportKillTests {
        private static let count = Seeds.isLong ? 100_000 : 20_000

        @Test(arguments: Seeds.fresh(1, long: 5)) func anImportWhoseClientIsKilledGoesOn(seed: UInt64) async throws {
            print("seed \(seed): the client is killed")
            var random = SeededGenerator(seed: seed)
            try await withTemporaryMongod { mongod in
                try await ServerProcess.with(mongod) { server in
                    try await withTemporaryFolder { folder in
                        let path = folder + "/rows.jsonl"
                        try ImportShop.write(1...Self.count, seed: seed, to: path)
                        try Self.spoil(path, using: &random)
                        let shell = Shell(server)
                        for kill in 1...2 {
                            let target = Int.random(in: 1...Self.count / 3, using: &random) * kill
                            let client = try await shell.start("products", "import", path, "--resume", "--rejects", folder + "/bad")
                            let isReached = await Self.reaches(target, path, client)
                            client.signal(SIGKILL)
                            print("seed \(seed): killed at row \(target) or later: \(isReached), \(await client.ended())")
                        }
                        let last = try await shell.run("products", "import", path, "--resume", "--rejects", folder + "/bad")
                        #expect(last.end == .exited(67), "\(last.errors)")
                        let numbers = last.output.split(separator: " ").compactMap { Int($0) }
                        #expect(numbers.reduce(0, +) == Self.count + 3 && numbers.last == 3, "each row is counted once: \(last.output)")
                        let rejects = try String(contentsOf: URL(filePath: folder + "/bad"), encoding: .utf8)
                        #expect(rejects == "{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n", "each rejected row once")
                        try await ImportShop.expect(1...Self.count, seed: seed, in: server)
                    }
                }
            }
        }

        @Test(arguments: Seeds.fresh(1, long: 5)) func anImportOutlivesItsServer(seed: UInt64) async throws {
            print("seed \(seed): the server is killed, with its MongoDB")
            var random = SeededGenerator(seed: seed)
            try await withTemporaryFolder { folder in
                let path = folder + "/rows.jsonl"
                try ImportShop.write(1...Self.count, seed: seed, to: path)
                let endpoint = ServerProcess.freeEndpoint()
                let database = ServerProcess.Database.embedded(folder: folder + "/data")
                var server = try await ServerProcess.start(database, at: endpoint)
                let client = try await Shell(endpoint).start("products", "import", path, "--patience", "120s")
                for kill in 1...2 {
                    let target = Int.random(in: 1...Self.count / 3, using: &random) * kill
                    let isReached = await Self.reaches(target, path, client)
                    print("seed \(seed): killed at row \(target) or later: \(isReached)")
                    await server.killAtOnce()
                    server = try await ServerProcess.start(database, at: endpoint)
                }
                let (end, errors) = (await client.ended(), await client.errors.text())
                #expect(end == .exited(0), "\(errors)")
                try await ImportShop.expect(1...Self.count, seed: seed, in: server)
                await server.kill()
            }
        }

        @Test func twoClientsAtOnceKeepCountsExact() async throws {
            try await withTemporaryMongod { mongod in
                try await ServerProcess.with(mongod) { first in
                    try await ServerProcess.with(mongod) { second in
                        try await withTemporaryFolder { folder in
                            // Half of the ids in both files; over two servers, so that transactions collide.
                            let half = Self.count / 4
                            try ImportShop.write(1...2 * half, seed: 7, to: folder + "/a")
                            try ImportShop.write(half + 1...3 * half, seed: 8, to: folder + "/b")
                            async let one = Shell(first).run("products", "import", folder + "/a")
                            async let other = Shell(second).run("products", "import", folder + "/b")
                            let runs = try await [one, other]
                            for run in runs { #expect(run.end == .exited(0), "\(run.errors)") }
                            let found = try await ImportShop.products(of: first)
                            #expect(found.count == 3 * half)
                            let (old, new) = (ProductGenerator(seed: 7), ProductGenerator(seed: 8))
                            for number in 1...3 * half {
                                let product = try #require(found[ProductGenerator.id(number)])
                                let isOld = number <= 2 * half && ImportShop.isSame(product, old.product(number))
                                let isNew = number > half && ImportShop.isSame(product, new.product(number))
                                if !isOld && !isNew { Issue.record("product \(number) is of neither file") }
                            }
                            try ImportShop.expectExactCounts(first)
                        }
                    }
                }
            }
        }

        /// The indexes that a large import does without are built by the next start, or what was begun of them is finished.
        @Test(arguments: Seeds.fresh(2, long: 10)) func aLargeImportIntoAnEmptyCatalogueIsKilled(seed: UInt64) async throws {
            var random = SeededGenerator(seed: seed)
            let generator = ProductGenerator(seed: seed)
            // In the middle of the import; and about when the indexes are built, 2 s after its last call.
            let delay = Bool.random(using: &random) ? 0 : Int.random(in: 1_950...2_200, using: &random)
            print("seed \(seed): the server is killed, with its MongoDB, \(delay) ms after some calls of a large import")
            try await withTemporaryFolder { folder in
                let endpoint = ServerProcess.freeEndpoint()
                let database = ServerProcess.Database.embedded(folder: folder)
                var server = try await ServerProcess.start(database, at: endpoint)
                try await server.withChannel { channel in
                    for first in stride(from: 1, to: 4000, by: 1000) {
                        let products = (first..<first + 1000).map(generator.product)
                        _ = try await channel.catalog.importProducts(.init(products: products, expectedProducts: 1_000_000), options: patient)
                    }
                }
                try await Task.sleep(for: .milliseconds(delay))
                await server.killAtOnce()
                server = try await ServerProcess.start(database, at: endpoint)
                try await ImportShop.expect(1...4000, seed: seed, in: server)
                try await server.withChannel { channel in
                    let report = try await channel.catalog.checkCatalog(.init(), options: patient)
                    #expect(report.findingCount == 0, "\(report.findings)")
                }
                await server.kill()
            }
        }

        /// Nobody starts a server: the one that is left builds the indexes.
        @Test(arguments: Seeds.fresh(1, long: 10)) func aLargeImportsServerIsKilledBesideAnother(seed: UInt64) async throws {
            var random = SeededGenerator(seed: seed)
            // In the middle of the import; and about when the indexes are built, 2 s after its last call.
            let delay = Bool.random(using: &random) ? 0 : Int.random(in: 1_950...2_200, using: &random)
            print("seed \(seed): the server is killed \(delay) ms after some calls of a large import, another one lives on")
            try await withTemporaryMongod { mongod in
                try await ServerProcess.with(mongod) { survivor in
                    let victim = try await ServerProcess.start(mongod)
                    try await Self.importLarge(1...4000, seed: seed, into: victim)
                    try await Task.sleep(for: .milliseconds(delay))
                    await victim.killAtOnce()
                    try await Self.expectLists(1...4000, seed: seed, in: survivor)
                }
            }
        }

        /// Both find the catalogue empty. Whichever drops indexes and whichever builds them, in the end they are there.
        @Test(arguments: Seeds.fresh(1, long: 10)) func twoLargeImportsAtOnceThroughTwoServers(seed: UInt64) async throws {
            var random = SeededGenerator(seed: seed)
            // Together; or when the other one's load may just be at its end.
            let delay = Bool.random(using: &random) ? 0 : Int.random(in: 1_500...2_500, using: &random)
            print("seed \(seed): a second large import begins \(delay) ms after the first")
            try await withTemporaryMongod { mongod in
                try await ServerProcess.with(mongod) { first in
                    try await ServerProcess.with(mongod) { second in
                        async let one: Void = Self.importLarge(1...6000, seed: seed, into: first)
                        try await Task.sleep(for: .milliseconds(delay))
                        async let other: Void = Self.importLarge(6001...10_000, seed: seed, into: second)
                        _ = try await (one, other)
                        for server in [first, second] { try await Self.expectLists(1...10_000, seed: seed, in: server) }
                    }
                }
            }
        }

        /// Some calls of an import that says that it is large.
        private static func importLarge(_ numbers: ClosedRange<Int>, seed: UInt64, into server: ServerProcess) async throws {
            let generator = ProductGenerator(seed: seed)
            try await server.withChannel { channel in
                for first in stride(from: numbers.lowerBound, through: numbers.upperBound, by: 1000) {
                    let products = (first..<first + 1000).map(generator.product)
                    let request = Catalog.ImportProductsRequest(products: products, expectedProducts: 1_000_000)
                    while true {
                        do throws(RPCError) {
                            _ = try await channel.catalog.importProducts(request, options: patient)
                            break
                        } catch {
                            // Of two transactions that collide one fails, and is to come again.
                            guard error.code == .unavailable || error.code == .aborted else { throw error }
                        }
                    }
                }
            }
        }

        /// Waits until products are listed, and checks that all are, and that nothing is missing.
        private static func expectLists(_ numbers: ClosedRange<Int>, seed: UInt64, in server: ServerProcess) async throws {
            let end = ContinuousClock.now + .seconds(60)
            try await server.withChannel { channel in
                while true {
                    do throws(RPCError) {
                        _ = try await channel.catalog.listProducts(.init(), options: patient)
                        break
                    } catch {
                        guard error.reason == "INDEX_MISSING", ContinuousClock.now < end else { throw error }
                    }
                    try await Task.sleep(for: .milliseconds(50))
                }
            }
            try await ImportShop.expect(numbers, seed: seed, in: server)
            try await server.withChannel { channel in
                let report = try await channel.catalog.checkCatalog(.init(), options: patient)
                #expect(report.findingCount == 0, "\(report.findings)")
            }
        }

        /// A million products: how long it takes is printed, what memory it takes is bounded.
        @Test(.enabled(if: Seeds.isLong)) func aMillionProductsTakeNoMoreMemoryThanAThousand() async throws {
            try await withTemporaryFolder { folder in
                try await ServerProcess.with(.embedded(folder: folder + "/data")) { server in
                    let path = folder + "/rows.jsonl"
                    let script = "'\(Program.path)' products generate --count 1000000 > '\(path)'"
                    #expect(try await Program.run(["-c", script], of: "/bin/sh").end == .exited(0))
                    let start = ContinuousClock.now
                    let client = try await Shell(server).start("products", "import", path)
                    var peak = 0
                    while client.isRunning {
                        peak = max(peak, Self.peakMegabytes(client.pid) ?? 0)
                        try await Task.sleep(for: .milliseconds(100))
                    }
                    let (end, errors) = (await client.ended(), await client.errors.text())
                    #expect(end == .exited(0), "\(errors)")
                    let serverPeak = Self.peakMegabytes(server.process.pid) ?? 0
                    print("1,000,000 products in \(ContinuousClock.now - start); client \(peak) MB, server \(serverPeak) MB")
                    #expect(peak < 200 && serverPeak < 400)
                    #expect(await client.output.text() == "1000000 inserted, 0 replaced, 0 refused\n")
                    try ImportShop.expectExactCounts(server)
                }
            }
        }

        /// Adds three rows that are no products, at random places.
        private static func spoil(_ path: String, using random: inout SeededGenerator) throws {
            var lines = try String(contentsOf: URL(filePath: path), encoding: .utf8).split(separator: "\n")
            for number in 1...3 {
                lines.insert("{\"id\":\(number)}", at: lines.count * (number - 1) / 3 + Int.random(in: 0..<lines.count / 3, using: &random))
            }
            try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: URL(filePath: path))
        }

        /// Whether the import's state says that it has passed a line, before it ends.
        private static func reaches(_ line: Int, _ path: String, _ client: ChildProcess) async -> Bool {
            struct State: Decodable {
                struct Mark: Decodable { var line: Int }
                var mark: Mark
            }
            while client.isRunning {
                if let data = try? Data(contentsOf: URL(filePath: path + ".import")),
                    let state = try? JSONDecoder().decode(State.self, from: data), state.mark.line > line
                {
                    return true
                }
                do { try await Task.sleep(for: .milliseconds(1)) } catch { return false }
            }
            return false
        }

        /// The most memory that a process has had so far.
        private static func peakMegabytes(_ pid: pid_t) -> Int? {
            guard let status = try? String(contentsOf: URL(filePath: "/proc/\(pid)/status"), encoding: .utf8) else { return nil }
            let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
            return line?.split(separator: " ").compactMap { Int($0) }.first.map { $0 / 1024 }
        }
    }
}
