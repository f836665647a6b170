import BackupEngine
import BackupPolicy
import Glibc

/// Asks before a change or a removal.
struct Confirmation {
  let console: Console
  /// `--yes`.
  let given: Bool
  /// Whether the command has `--dry-run`.
  var hasDryRun = true

  /// Returns after a yes.
  ///
  /// - Parameters:
  ///   - question: `Restore?`, without the possible answers.
  ///   - progress: the running work, so that signals stop the work and not the process.
  /// - Throws: `refused` after a no, and if there is no terminal for the question; `interrupted`.
  func require(_ question: String, during progress: Progress? = nil) throws {
    if given { return }
    guard !console.json, isatty(STDIN_FILENO) != 0, isatty(STDERR_FILENO) != 0 else {
      throw HoldfastError(
        .refused, "nothing was changed: this needs a confirmation, but a question is not possible here",
        hint: "add --yes to continue without a question" + (hasDryRun ? ", or --dry-run to see the plan" : ""))
    }
    console.ask("\(question) [y/N] ")
    if let progress { try wait(progress) }
    let answer = readLine()?.lowercased() ?? ""
    guard answer == "y" || answer == "yes" else {
      throw HoldfastError(.refused, "nothing was changed: it was not confirmed", hint: "answer y, or add --yes")
    }
  }

  /// Waits for an answer. A terminal provides it when its line has ended.
  private func wait(_ progress: Progress) throws {
    var input = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
    while poll(&input, 1, 50) == 0 {
      guard progress.isStopped else { continue }
      console.endQuestion()
      try progress.check()
    }
  }
}
