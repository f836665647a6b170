import ArgumentParser
import BackupEngine
import BackupPolicy
import Glibc
import Names

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
        .answer(HelpText(HoldfastCommand.fullMessage(for: error)).text)
      case _ where HoldfastCommand.exitCode(for: error) == .validationFailure: .error(Self.usage(error))
      default: .error(HoldfastError(.failed, "\(error)", cause: error))
      }
  }

  /// The parser's own message in this program's form.
  private static func usage(_ error: any Error) -> HoldfastError {
    let arguments = CommandLine.arguments.dropFirst()
    // What the parser takes for an argument of ours is the command's.
    if arguments.first == "guard", !arguments.contains("--") { return Guard.noCommand(arguments) }
    let message = HoldfastCommand.message(for: error).split(separator: "\n").joined(separator: " ")
    let text = message.prefix(1).lowercased() + message.dropFirst()
    return HoldfastError(
      .usage, text.hasSuffix(".") ? String(text.dropLast()) : text,
      hint: help(for: arguments))
  }

  /// How to learn what the command takes.
  private static func help(for arguments: ArraySlice<String>) -> String {
    guard let name = arguments.first, CommandNames.all.contains(name) else {
      return "holdfast help lists the commands, and holdfast COMMAND --help its options"
    }
    return "holdfast \(name) --help lists its options"
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
        Console.tell(Self.lines(error))
      }
      return error.code.exitCode
    }
  }

  private static func lines(_ error: HoldfastError) -> [String] {
    ["holdfast: error: \(error.message.printable)"] + marked(error)
      + (error.hint.map { ["holdfast: hint: \(CallerOptions.applied(to: $0.printable))"] } ?? [])
  }

  /// The schedule that cannot be read, and a mark below what is wrong with it.
  private static func marked(_ error: HoldfastError) -> [String] {
    var cause = error.cause
    while let wrapped = cause as? HoldfastError { cause = wrapped.cause }
    guard let error = cause as? CronSyntaxError, error.text.count <= 100 else { return [] }
    let text = String(error.text.map { $0 == "\t" ? " " : $0 })
    guard !text.isEmpty, text == text.printable else { return [] }
    return ["  " + text, String(repeating: " ", count: error.column + 1) + String(repeating: "^", count: error.length)]
  }

  static func json(_ error: HoldfastError) -> JSONValue {
    .object([
      "code": .string(error.code.rawValue), "message": .string(error.message),
      "hint": .optional(error.hint.map(CallerOptions.applied)),
    ])
  }
}
