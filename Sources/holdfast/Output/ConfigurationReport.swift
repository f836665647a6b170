import BackupEngine
import BackupPolicy
import Names

/// The mistakes of a configuration, for people and for scripts.
struct ConfigurationReport {
  let configuration: Configuration

  /// All mistakes.
  static func lines(_ problems: [ConfigurationProblem], quiet: Bool) -> [String] {
    problems.filter { !quiet || $0.severity == .error }.flatMap(lines)
  }

  private static func lines(_ problem: ConfigurationProblem) -> [String] {
    [
      "holdfast: \(problem.severity.word): \(problem.message.printable)",
      "holdfast: hint: \(CallerOptions.applied(to: problem.hint.printable))",
    ]
  }

  /// The result if there is no error.
  func soundLines(_ count: Int) -> [String] {
    let names = sources.map(\.path.printable)
    let what = names.isEmpty ? "there is no file to read; the settings" : names.joined(separator: " and ")
    let remarks = count == 0 ? "" : ", with \(count) warning\(count == 1 ? "" : "s") above"
    return ["✓ \(what) \(names.count == 1 ? "is" : "are") sound\(remarks)"]
  }

  func json(_ problems: [ConfigurationProblem]) -> JSONValue {
    .object([
      "files": .array(sources.map { .string($0.path) }),
      "sound": .bool(!problems.contains { $0.severity == .error }),
      "problems": .array(problems.map(\.json)),
    ])
  }

  private var sources: [(path: String, kind: String)] {
    [configuration.envFile.map { ($0.path, "env") }, configuration.file.map { ($0.path, "toml") }].compactMap { $0 }
  }
}

extension Configuration {
  /// The problems that every command reports: warnings, not remarks.
  func warn() {
    let warnings = (problems + databaseList().1).filter { $0.severity == .warning }
    if !warnings.isEmpty { Console.tell(ConfigurationReport.lines(warnings, quiet: false)) }
  }
}

extension ConfigurationProblem.Severity {
  fileprivate var word: String { self == .error ? "error" : "warning" }
}

extension ConfigurationProblem {
  fileprivate var json: JSONValue {
    .object([
      "severity": .string(severity.word), "message": .string(message), "hint": .string(hint), "file": .optional(file),
      "line": .optional(position?.line), "column": .optional(position?.column),
    ])
  }
}
