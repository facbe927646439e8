import ArgumentParser
import Terminal

/// `orderwire completion`
struct Completion: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "completion", abstract: "Print a script that completes this program's command lines.",
        discussion: """
            Examples:
              source <(orderwire completion bash)
              orderwire completion zsh > ~/.zfunc/_orderwire
              orderwire completion fish > ~/.config/fish/completions/orderwire.fish
            """)

    enum Shell: String, CaseIterable, ExpressibleByArgument {
        case bash, zsh, fish
    }

    @Argument(help: "The shell.")
    var shell: Shell

    func run() {
        let kind: CompletionShell = switch shell {
        case .bash: .bash
        case .zsh: .zsh
        case .fish: .fish
        }
        StandardStream.output.write(Orderwire.completionScript(for: kind) + "\n")
    }
}
