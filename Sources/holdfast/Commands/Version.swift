import ArgumentParser
import BackupEngine

/// `holdfast version`
struct Version: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show the version of holdfast and of SQLite.",
    discussion: """
      Examples:
        holdfast version --json
      """)

  @Flag(help: "Print one JSON document.")
  var json = false

  func run() throws {
    try Console(json: json, quiet: false).show(
      .object(["version": .string(holdfastVersion), "sqlite_version": .string(sqliteLibraryVersion)]),
      [Self.text])
  }

  /// `holdfast 0.1.0 (SQLite 3.40.1)`
  static var text: String { "holdfast \(holdfastVersion) (SQLite \(sqliteLibraryVersion))" }
}

/// `holdfast completion`
struct Completion: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Print a script that completes commands, options and backup IDs.",
    discussion: """
      bash:  source <(holdfast completion bash)
      zsh:   holdfast completion zsh > ~/.zfunc/_holdfast
      fish:  holdfast completion fish > ~/.config/fish/completions/holdfast.fish

      Examples:
        holdfast completion bash
      """)

  @Argument(help: "bash, zsh or fish.", completion: .list(["bash", "zsh", "fish"]))
  var shell: String

  func run() throws {
    guard let shell = CompletionShell(rawValue: shell) else {
      throw HoldfastError(
        .usage, "there is no completion for '\(self.shell.shortened)'", hint: "name bash, zsh or fish")
    }
    try Console.write(Array((CompletionScript.text(for: shell) + "\n").utf8), to: 1)
  }
}
