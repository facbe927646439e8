import Foundation
import Testing

/// The programs as scripts use them: exit codes, forms of output, signals.
@Suite struct ProgramTests {
    @Test(arguments: [
        ["products", "list", "--timeout", "5"], ["health", "--wait", "x"], ["orders", "submit"], ["orders", "submit", "--item", "a"],
        ["orders", "watch", "--group", "Not A Name"], ["products", "import", "/no/such/file"], ["serve", "--mongodb", "postgres://"],
        ["serve", "--events", "tcp://127.0.0.1:9-8"], ["products", "list", "-o", "xml"], ["no-such-verb"], ["health", "--server", "here"],
    ]) func aWrongCommandLineExitsWith64(arguments: [String]) throws {
        let outcome = try Program.orderwire.start(arguments).waitForEnd()
        #expect(outcome.status == 64)
        #expect(outcome.output.isEmpty)
        #expect(!outcome.errors.isEmpty)
    }

    @Test func withoutAServerHealthExitsWith4AndACallWith78() throws {
        let nowhere = "tcp://127.0.0.1:9"
        let health = try Program.orderwire.run("health", "--wait", "100ms", server: nowhere)
        #expect(health.status == 4)
        let call = try Program.orderwire.run("products", "list", "-o", "json", server: nowhere)
        #expect(call.status == 78)
        #expect(call.errors.hasPrefix(#"{"error":{"code":"UNAVAILABLE""#))
    }

    @Test func aSessionOfAllVerbs() throws {
        let shop = try ServedShop()
        let server = shop.endpoint
        let orderwire = Program.orderwire
        #expect(try orderwire.run("health", "--wait", "10s", server: server).output == "SERVING\n")

        let csv = "id,name,category,price,stock\np-1,\"One, two\",Rock,0.99,5\np-2,Bad,Rock,cheap,1\n"
        let imported = try orderwire.run("products", "import", "-", server: server, input: csv)
        #expect(imported.status == 67)
        #expect(imported.output == "1 inserted, 0 replaced, 1 refused\n")
        #expect(imported.errors.contains("line 3: price: 'cheap'"))

        let listed = try orderwire.run("products", "list", "--category", "ROCK", "-o", "csv", server: server)
        #expect(listed.output == "id,name,category,price,currency,stock\r\np-1,\"One, two\",Rock,0.99,USD,5\r\n")
        #expect(try orderwire.run("products", "get", "p-9", server: server).status == 69)

        let submit = ["orders", "submit", "--item", "p-1=2", "--key", "k", "--wait", "-o", "jsonl"]
        let first = try orderwire.start(submit, server: server).waitForEnd()
        #expect(first.output.contains(#""state":"ORDER_STATE_FULFILLED""#))
        let second = try orderwire.start(submit, server: server).waitForEnd()
        #expect(second.output.contains(#""replayed":true"#))
        #expect(try orderwire.run("orders", "submit", "--item", "p-1=3", "--key", "k", server: server).status == 70)

        let watched = try orderwire.run(
            "orders", "watch", "--group", "g", "--after", "0", "--count", "1", "-o", "csv", server: server)
        #expect(watched.output.split(whereSeparator: \.isNewline).last?.hasPrefix("1,") == true)

        // A group has one member: whoever comes later takes it over.
        let watch = ["orders", "watch", "--group", "taken", "--after", "0", "-o", "jsonl"]
        let watcher = try orderwire.start(watch, server: server)
        #expect(watcher.firstLine().contains(#""sequence":"1""#))
        let successor = try orderwire.start(watch, server: server)
        let taken = watcher.waitForEnd()
        #expect(taken.status == 74)
        #expect(taken.errors.contains("MEMBERSHIP_TAKEN"))
        successor.process.terminate()
        #expect(successor.waitForEnd().status == 143)

        #expect(shop.terminate().status == 0)
    }

    /// Submitted by 59 clients at once, killed in the middle, restarted: the clients repeat what has no answer.
    @Test func aReplaySurvivesAKillOfItsServer() throws {
        let shop = try ServedShop()
        let fixture = try Chinook.fixture()
        let products = try Program.chinookStore.run("products", fixture)
        let imported = try Program.orderwire.run("products", "import", "-", server: shop.endpoint, input: products.output)
        #expect(imported.output == "3503 inserted, 0 replaced, 0 refused\n")

        let watch = ["orders", "watch", "--group", "first", "--filter", "all", "--after", "0", "--count", "40"]
        let watcher = try Program.orderwire.start(watch, server: shop.endpoint)
        let replay = try Program.chinookStore.start(["replay", fixture, "--server", shop.endpoint])
        // The first forty orders are final: the rest is on its way.
        #expect(watcher.waitForEnd().status == 0)
        try shop.killAndRestart()

        let outcome = replay.waitForEnd()
        #expect(outcome.output == "412 accepted, 412 fulfilled, 0 rejected, 412 notified, revenue 2328.60 USD\n")
        #expect(outcome.status == 0)
        let again = try Program.chinookStore.run("replay", fixture, "--server", shop.endpoint)
        #expect(again.output == outcome.output)
    }
}

private enum Chinook {
    /// Where `scripts/fetch-chinook` puts it.
    static func fixture() throws -> String {
        let environment = ProcessInfo.processInfo.environment
        let home = try #require(environment["HOME"])
        let cache = environment["ORDERWIRE_CACHE"] ?? (environment["XDG_CACHE_HOME"] ?? home + "/.cache") + "/orderwire"
        return cache + "/chinook.json"
    }
}
