import ArgumentParser
import Terminal

/// The version of this program.
enum Version {
    static let number = "0.1.0"
    static let text = "orderwire \(number)"
}

/// `orderwire version`
struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "version", abstract: "Print the version of this program.")

    func run() {
        StandardStream.output.write(Version.text + "\n")
    }
}
