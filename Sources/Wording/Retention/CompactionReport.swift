import BackupEngine
import BackupPolicy
import Names

/// The merges and removals of a compaction, with their reasons.
package struct CompactionReport {
  private let steps: [(step: CompactionStep, bytesAfter: Int64)]
  private let skipped: [(step: CompactionStep, error: HoldfastError)]
  /// The backups that retention rules keep.
  private let kept: [RetentionVerdict]
  /// True after a compaction, false for a plan.
  private let executed: Bool
  private let commands: CommandSpelling

  /// - Parameter commands: of the hints in errors.
  package init(planned plan: CompactionPlan, commands: CommandSpelling) {
    steps = plan.steps.map { ($0, $0.bytesAfterAtMost) }
    skipped = []
    kept = plan.kept
    executed = false
    self.commands = commands
  }

  /// - Parameter commands: of the hints in errors.
  package init(_ outcome: CompactionOutcome, commands: CommandSpelling) {
    steps = outcome.done
    skipped = outcome.skipped
    kept = outcome.kept
    executed = true
    self.commands = commands
  }

  /// The merges and removals; of a plan also the backups that rules keep.
  package var lines: [String] {
    let stay = executed ? [] : keptLines
    guard !steps.isEmpty || !skipped.isEmpty else { return ["Nothing to merge"] + stay }
    return steps.flatMap(lines) + skippedLines + stay + summary
  }

  /// The backups that an error left as they are.
  package var skippedLines: [String] {
    skipped.map { step, error in
      "Left as \(step.removed.count == 1 ? "it is" : "they are"): \(Self.listed(step.removed)): \(error.message.printable)"
    }
  }

  /// Groups the backups by reason, in the order of the first backup of each group.
  private var keptLines: [String] {
    var groups: [(reasons: [String], points: [PointID])] = []
    for verdict in kept {
      if let index = groups.firstIndex(where: { $0.reasons == verdict.reasons }) {
        groups[index].points.append(verdict.id)
      } else {
        groups.append((verdict.reasons, [verdict.id]))
      }
    }
    return groups.flatMap { reasons, points in
      let what = "\(points.count.grouped) backup\(points.count == 1 ? " is" : "s are") kept by the rules"
      let rest = points.count > 4 ? "; --json lists all of them" : ""
      return [what] + reasons.map { "  \($0)" } + ["  \(Self.listed(points))\(rest)"]
    }
  }

  private func lines(_ step: CompactionStep, _ after: Int64) -> [String] {
    let points = "\(step.removed.count.grouped) backup\(step.removed.count == 1 ? "" : "s")"
    let what =
      step.survivor.map { "\(executed ? "Merged" : "Would merge") \(points) into \($0)" }
      ?? "\(executed ? "Removed" : "Would remove") \(points)"
    let bytes = executed || step.survivor == nil ? "\(ByteCount(after))" : "at most \(ByteCount(after))"
    return ["\(what): \(ByteCount(step.bytesBefore)) before, \(bytes) after"]
      + step.reasons.map { "  \($0)" } + ["  \(Self.listed(step.removed))"]
  }

  /// IDs sort by time, so the first two and the last describe all of them.
  private static func listed(_ points: [PointID]) -> String {
    guard points.count > 4 else { return points.map(\.text).joined(separator: ", ") }
    return "\(points[0]), \(points[1]) … \(points[points.count - 1])"
  }

  private var summary: [String] {
    let removed = steps.reduce(0) { $0 + $1.step.removed.count }
    guard removed > 0 else { return [] }
    let saved = steps.reduce(Int64(0)) { $0.addingClamped($1.step.bytesBefore - $1.bytesAfter) }
    let verb = executed ? "removed, which freed" : "would be removed, which would free at least"
    return ["", "\(removed.grouped) backup\(removed == 1 ? "" : "s") \(verb) \(ByteCount(saved))"]
  }

  /// For scripts, with each backup.
  package var json: JSONValue {
    .object([
      "executed": .bool(executed),
      "steps": .array(
        steps.map { .object(Self.keys($0.step).merging(["bytes_after": .integer($0.bytesAfter)])) }),
      "skipped": .array(
        skipped.map {
          .object(Self.keys($0.step).merging(["error": ErrorText($0.error, commands).json]))
        }),
      "kept": .array(
        kept.map {
          .object(["backup_id": .string($0.id.text), "reasons": .array($0.reasons.map { .string($0) })])
        }),
    ])
  }

  private static func keys(_ step: CompactionStep) -> JSONObject {
    [
      "into": .optional(step.survivor?.text), "removed": .array(step.removed.map { .string($0.text) }),
      "reasons": .array(step.reasons.map { .string($0) }), "bytes_before": .integer(step.bytesBefore),
    ]
  }
}
