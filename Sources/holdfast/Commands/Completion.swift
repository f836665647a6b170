import ArgumentParser
import BackupEngine

/// `holdfast completion`
struct Completion: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Print a script that completes commands and options in your shell.",
    discussion: """
      bash:  source <(holdfast completion bash)
      zsh:   holdfast completion zsh > ~/.zfunc/_holdfast
      fish:  holdfast completion fish > ~/.config/fish/completions/holdfast.fish
      """)

  @Argument(help: "bash, zsh or fish.")
  var shell: String

  func run() throws {
    guard let shell = CompletionShell(rawValue: shell) else {
      throw HoldfastError(
        .usage, "there is no completion for '\(self.shell.shortened)'", hint: "name bash, zsh or fish")
    }
    try Console.write(Array((HoldfastCommand.completionScript(for: shell) + "\n").utf8), to: 1)
  }
}
