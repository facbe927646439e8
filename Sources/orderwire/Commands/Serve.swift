import ArgumentParser
import Glibc
import Logging
import MongoDB
import Terminal

/// `orderwire serve`
struct Serve: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Run the server.",
        discussion: """
            Examples:
              orderwire serve
              orderwire serve --listen tcp://127.0.0.1:7400 --mongodb embedded --data ./data
              orderwire serve --mongodb "mongodb://db1,db2,db3/?replicaSet=rs0" \\
                --listen tcp://0.0.0.0:7400 --events tcp://0.0.0.0:7401-7655 --advertise shop.internal

            Prints "ready ENDPOINT..." on standard output when it serves. SIGTERM and Ctrl-C let the calls in flight end, then \
            it exits with 0; a second one ends it at once. Where an embedded MongoDB ends by itself, so does the server, \
            with 1: whoever watches over it starts both again. Logs go to standard error: plain on a terminal, JSON lines elsewhere.
            """)

    @OptionGroup var options: ServeOptions

    func run() throws {
        StopSignal.arm()
        let level = try options.level
        let stream = StandardStream.error
        let style = stream.isTerminal ? LineLogHandler.Style.text(hasColour: stream.hasColour) : .json
        let logger = Logger(label: "orderwire.serve") { LineLogHandler(label: $0, level: level, style: style) }
        let server: ShopServer
        do {
            server = try ShopServer(options, logger: logger)
        } catch {
            throw StartFailure(cause: error)
        }
        server.announce()
        let signal = StopSignal.wait()
        server.stop(because: signal)
        // Not by returning: pools of clients would say goodbye to a mongod that has ended, and wait for its answer.
        Glibc.exit(signal == StopSignal.none ? ExitStatus.failure : 0)
    }
}

/// The server did not start.
struct StartFailure: Error {
    let cause: any Error

    /// How long the start waits for a MongoDB that does not answer.
    static let mongoDBPatience = Duration.seconds(4)

    /// Why, for people.
    var reason: String {
        if let cause = cause as? MongoError, cause.kind == .serverSelection {
            return "no MongoDB answers within \(Self.mongoDBPatience.components.seconds) s: \(cause.message)"
        }
        return "\(cause)"
    }
}
