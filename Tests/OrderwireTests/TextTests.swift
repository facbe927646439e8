import Logging
import ProtoShop
import RPC
import Testing

@testable import orderwire

@Suite struct DurationTextTests {
    @Test(arguments: [
        ("500ms", Duration.milliseconds(500)), ("5s", .seconds(5)), ("1.5s", .milliseconds(1500)), ("2m", .seconds(120)), ("1h", .seconds(3600)),
        ("30d", .seconds(2_592_000)),
    ]) func timesAreRead(text: String, duration: Duration) {
        #expect(Duration(text: text) == duration)
    }

    @Test(arguments: ["", "5", "s", "-1s", "1e3s", "5 s", "infs", "99999h", "٣s"]) func whatIsNoTimeIsRefused(text: String) {
        #expect(Duration(text: text) == nil)
    }

    @Test func timesAreWrittenInSeconds() {
        #expect(Duration.milliseconds(1050).secondsText == "1.050s")
        #expect(Duration.seconds(3).secondsText == "3s")
    }
}

@Suite struct MoneyTextTests {
    @Test(arguments: [
        ("0.99 USD", 0, 990_000_000, "0.99 USD"), ("12USD", 12, 0, "12.00 USD"), ("1.5 eur", 1, 500_000_000, "1.50 EUR"),
        ("-0.01 USD", 0, -10_000_000, "-0.01 USD"), ("0.123456789 USD", 0, 123_456_789, "0.123456789 USD"),
    ]) func amountsAreReadAndWritten(text: String, units: Int64, nanos: Int32, written: String) throws {
        let money = try #require(Catalog.Money(text: text))
        #expect(money.units == units)
        #expect(money.nanos == nanos)
        #expect(money.text == written)
    }

    @Test(arguments: ["", "USD", "1.2.3 USD", ".5 USD", "1. USD", "1,5 USD", "1.0000000001 USD", "--1 USD", "99999999999999999999 USD", "1.00"])
    func whatIsNoAmountIsRefused(text: String) {
        #expect(Catalog.Money(text: text) == nil)
    }
}

@Suite struct OrderItemTests {
    @Test func theLastEqualsSignSeparates() {
        #expect(OrderItem(argument: "a=b=12").map { "\($0.productID) \($0.quantity)" } == "a=b 12")
    }

    @Test(arguments: ["a", "=1", "a=", "a=x", "a=1.5", "a=99999999999"]) func whatIsNoItemIsRefused(text: String) {
        #expect(OrderItem(argument: text) == nil)
    }
}

@Suite struct JSONTextTests {
    @Test func stringsAreEscaped() {
        #expect(JSONText.string("a\"b\\c\n\u{1}é\u{202E}") == #""a\"b\\c\n\u0001é\u202e""#)
    }

    @Test func aFailureIsOneLine() {
        let error = RPCError(
            .invalidArgument, reason: "INVALID_FIELD", "bad\nthing", disposition: .notExecuted, metadata: ["b": "2", "a": "1"],
            fieldViolations: [.init(field: "lines[0]", description: "no")], retryDelay: .milliseconds(1500))
        #expect(
            JSONText.line(error) == #"{"error":{"code":"INVALID_ARGUMENT","reason":"INVALID_FIELD","message":"bad\nthing","#
                + #""disposition":"NOT_EXECUTED","metadata":{"a":"1","b":"2"},"#
                + #""fieldViolations":[{"field":"lines[0]","description":"no"}],"retryDelay":"1.500s"}}"# + "\n")
    }
}

@Suite struct LineLogHandlerTests {
    private let time = WallTime(seconds: 1_795_414_211, milliseconds: 7)

    private func event(_ message: Logger.Message, _ metadata: Logger.Metadata) -> LogEvent {
        LogEvent(
            level: .warning, message: message, metadata: metadata, source: "test", file: "Tests/File.swift", function: "f()", line: 1)
    }

    @Test func aLineOfJSONHasTheNamesOfECS() {
        let handler = LineLogHandler(label: "server", level: .info, style: .json)
        #expect(
            handler.line(for: event("up", ["server.address": "tcp://127.0.0.1:1"]), at: time)
                == #"{"@timestamp":"2026-11-23T06:10:11.007Z","log.level":"warning","message":"up","ecs.version":"8.11","#
                + #""service.name":"orderwire","log.logger":"server","server.address":"tcp://127.0.0.1:1"}"# + "\n")
    }

    @Test func noTextCanForgeALine() {
        let forged: Logger.Message = "real\n{\"message\":\"forged\"}\u{1B}[2J"
        for style in [LineLogHandler.Style.json, .text(hasColour: false)] {
            let line = LineLogHandler(label: "server", level: .info, style: style).line(for: event(forged, ["k": "a\r\nb"]), at: time)
            #expect(line.utf8.count(where: { $0 < 0x20 }) == 1)
            #expect(line.hasSuffix("\n"))
        }
    }

    @Test func aLineForATerminalIsShort() {
        let handler = LineLogHandler(label: "server", level: .info, style: .text(hasColour: false))
        #expect(handler.line(for: event("up", ["port": "1"]), at: time) == "06:10:11.007 WARNING up port=1\n")
    }
}
