import BackupEngine
import BackupPolicy
import Glibc

/// Asks before something is changed or removed.
struct Confirmation {
  let console: Console
  /// `--yes`.
  let given: Bool

  /// Returns after a yes.
  ///
  /// - Parameters:
  ///   - question: without its question mark's answers: `Restore?`.
  ///   - progress: of work that has begun, so that signals stop it and not the process.
  /// - Throws: `refused` after a no, and where nobody can be asked; `interrupted`.
  func require(_ question: String, during progress: Progress? = nil) throws {
    if given { return }
    guard !console.json, isatty(STDIN_FILENO) != 0, isatty(STDERR_FILENO) != 0 else {
      throw HoldfastError(
        .refused, "nothing was changed: this needs a confirmation, and there is nobody to ask",
        hint: "add --yes to go on without a question, or --dry-run to see what would be done")
    }
    console.ask("\(question) [y/N] ")
    if let progress { try wait(progress) }
    let answer = readLine()?.lowercased() ?? ""
    guard answer == "y" || answer == "yes" else {
      throw HoldfastError(.refused, "nothing was changed: it was not confirmed", hint: "answer y, or add --yes")
    }
  }

  /// Waits until there is an answer to read. A terminal has one when its line has ended.
  private func wait(_ progress: Progress) throws {
    var input = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
    while poll(&input, 1, 50) == 0 {
      guard progress.isStopped else { continue }
      console.endQuestion()
      try progress.check()
    }
  }
}
