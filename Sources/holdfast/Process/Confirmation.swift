import BackupPolicy
import Glibc

/// Asks before something is changed or removed.
struct Confirmation {
  let console: Console
  /// `--yes`.
  let given: Bool

  /// Returns after a yes.
  ///
  /// - Parameter question: without its question mark's answers: `Restore?`.
  /// - Throws: `refused` after a no, and where nobody can be asked.
  func require(_ question: String) throws {
    if given { return }
    guard !console.json, isatty(STDIN_FILENO) != 0, isatty(STDERR_FILENO) != 0 else {
      throw HoldfastError(
        .refused, "nothing was changed: this needs a confirmation, and there is nobody to ask",
        hint: "add --yes to go on without a question, or --dry-run to see what would be done")
    }
    console.ask("\(question) [y/N] ")
    let answer = readLine()?.lowercased() ?? ""
    guard answer == "y" || answer == "yes" else {
      throw HoldfastError(.refused, "nothing was changed: it was not confirmed", hint: "answer y, or add --yes")
    }
  }
}
