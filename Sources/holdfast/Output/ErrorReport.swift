import ArgumentParser
import BackupEngine
import BackupPolicy
import Glibc
import Wording

/// How the process ends after an error, and what it says.
struct ErrorReport {
  private let asJSON: Bool
  private let outcome: Outcome

  private enum Outcome {
    /// Help, the version, a completion script: what was asked for.
    case answer(String)
    /// The command has said everything already.
    case silent(Int32)
    case error(HoldfastError)
  }

  init(_ error: any Error, asJSON: Bool) {
    self.asJSON = asJSON
    outcome =
      switch error {
      case let error as HoldfastError: .error(error)
      case let code as ExitCode: .silent(code.rawValue)
      case _ where HoldfastCommand.exitCode(for: error) == .success:
        .answer(HelpPage.rendered(HoldfastCommand.fullMessage(for: error)))
      case _ where HoldfastCommand.exitCode(for: error) == .validationFailure: .error(Self.usage(error))
      default: .error(HoldfastError(.failed, "\(error)", cause: error))
      }
  }

  /// The parser's own message in this program's form.
  private static func usage(_ error: any Error) -> HoldfastError {
    let arguments = ProcessEnvironment.arguments.dropFirst()
    // What the parser takes for an argument of ours is the command's.
    if arguments.first == "guard", !arguments.contains("--") { return Guard.noCommand(arguments) }
    let message = HoldfastCommand.message(for: error).split(separator: "\n").joined(separator: " ")
    if let negative = NegativeValue(in: arguments, message) { return negative.error }
    let text = message.prefix(1).lowercased() + message.dropFirst()
    return HoldfastError(
      .usage, text.hasSuffix(".") ? String(text.dropLast()) : text,
      hint: CommandNames.helpHint(for: arguments))
  }

  /// Prints it and returns the exit code.
  func print() -> Int32 {
    switch outcome {
    case .silent(let code): return code
    case .answer(let text):
      do {
        try Console.write(Array("\(text)\n".utf8), to: STDOUT_FILENO)
        return 0
      } catch {
        return ErrorReport(error, asJSON: asJSON).print()
      }
    case .error(let error):
      if asJSON {
        try? Console.write(JSONValue.object(["error": Self.json(error)]).encoded(), to: STDERR_FILENO)
      } else {
        Console.tell(ErrorText(error, .caller).lines)
      }
      return error.code.exitCode
    }
  }

  /// See ``ErrorText/json``.
  static func json(_ error: HoldfastError) -> JSONValue { ErrorText(error, .caller).json }
}
