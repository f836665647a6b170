import BackupEngine
import BackupPolicy
import Names

/// The findings of `doctor` and of `targets check`.
package struct DoctorReport {
  package var findings: [Finding]
  private let commands: CommandSpelling

  /// - Parameters:
  ///   - findings: in the order in which they are shown.
  ///   - commands: of the advice.
  package init(findings: [Finding], commands: CommandSpelling) {
    (self.findings, self.commands) = (findings, commands)
  }

  package var hasProblem: Bool { findings.contains { $0.level == .problem } }

  /// A probe needs a readable database and a key.
  package var allowsProbe: Bool {
    !findings.contains { $0.level == .problem && ["database", "key"].contains($0.name) }
  }

  /// - Parameter quiet: shows only problems and warnings.
  package func lines(quiet: Bool) -> [String] {
    let shown = quiet ? findings.filter { $0.level == .problem || $0.level == .warning } : findings
    return shown.flatMap { finding in
      ["\(Self.mark(finding.level)) \(finding.name): \(finding.detail.printable)"]
        + (finding.advice.map { ["  → \(commands.applied(to: $0.printable))"] } ?? [])
    } + (quiet ? [] : ["", summary])
  }

  private var summary: String {
    let problems = findings.count { $0.level == .problem }
    let warnings = findings.count { $0.level == .warning }
    if problems == 0, warnings == 0 { return "All is well." }
    return "\(Self.counted(problems, "problem")), \(Self.counted(warnings, "warning"))."
  }

  private static func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }

  private static func mark(_ level: Finding.Level) -> String {
    switch level {
    case .ok: "✓"
    case .note: "-"
    case .warning: "!"
    case .problem: "✗"
    }
  }

  /// For scripts, with the advice as it was written.
  package var json: JSONValue {
    .object([
      "healthy": .bool(!hasProblem),
      "findings": .array(
        findings.map { finding in
          .object([
            "name": .string(finding.name), "level": .string(finding.level.rawValue),
            "detail": .string(finding.detail), "advice": .optional(finding.advice),
          ])
        }),
    ])
  }
}
