import ArgumentParser
import ProtoRuntime
import RPC
import Terminal

/// `orderwire health`
struct Health: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "health", abstract: "Ask whether the server serves.",
        discussion: """
            Examples:
              orderwire health
              orderwire health --wait 10s && echo ready

            Exits with 0 where it serves, with 4 where it does not or is not there.
            """)

    @Option(help: ArgumentHelp("Keep asking until it serves, for so long.", valueName: "time"))
    var wait: String?

    @OptionGroup var options: ClientOptions

    /// Between two questions.
    private static let pause = Duration.milliseconds(50)
    /// A question of a series; a server that does not answer within it is asked again.
    private static let patience = Duration.seconds(1)

    func validate() throws {
        if let wait, Duration(text: wait) == nil {
            throw ValidationError("--wait: '\(wait)' is not right; allowed: a time like 500ms, 5s, 2m or 1h")
        }
    }

    func run(_ connection: Connection) async throws {
        let end = wait.flatMap { Duration(text: $0) }.map { ContinuousClock.now + $0 }
        while true {
            let rest = end.map { $0 - .now } ?? connection.timeout
            let answer = await check(connection, timeout: end == nil ? rest : min(max(rest, Self.pause), Self.patience))
            if case .success(.serving) = answer {
                report(connection.output, "SERVING")
                return
            }
            if let end, ContinuousClock.now < end {
                try await Task.sleep(for: Self.pause)
                continue
            }
            switch answer {
            case .success: report(connection.output, "NOT_SERVING")
            case .failure(let error):
                let format = connection.output.format
                StandardStream.error.write(format == .table ? Failure.text(error) : JSONText.line(error))
            }
            throw ExitCode(ExitStatus.notServing)
        }
    }

    private func check(_ connection: Connection, timeout: Duration) async -> Result<Runtime.ServingStatus, RPCError> {
        do throws(RPCError) {
            let client = Runtime.HealthService.Client(connection.invoker)
            return .success(try await client.check(.init(), options: .init(timeout: timeout)).status)
        } catch {
            return .failure(error)
        }
    }

    private func report(_ output: Output, _ status: String) {
        switch output.format {
        case .table: StandardStream.output.write(status + "\n")
        case .json, .jsonl: StandardStream.output.write(JSONValue.object([("status", .string(status))]).text() + "\n")
        case .csv: StandardStream.output.write(CSVWriter.record(["status"]) + CSVWriter.record([status]))
        }
    }
}
