import BackupPolicy

/// The results of the history of drills for a repository as it is now.
package struct DrillFigures: Sendable {
  /// A backup that passed a drill.
  package struct Proof: Hashable, Sendable {
    package var id: PointID
    /// When the backup was created.
    package var created: Timestamp
    /// When it passed.
    package var proved: Timestamp
  }

  /// How many of the newest passed drills the measured times come from.
  package static let sample = 10

  /// Newest first.
  package let drills: [DrillRecord]
  /// The sound backups whose newest drill passed, by ID.
  package let proofs: [PointID: Proof]
  /// The newest of these backups in the database's own history.
  package let newestProven: Proof?
  package let summary: DrillSummary

  /// - Parameters:
  ///   - drills: newest first.
  ///   - points: every backup of the repository, oldest first.
  package init(_ drills: [DrillRecord], _ points: [StoredPoint]) {
    self.drills = drills
    proofs = Self.proofs(drills, points)
    newestProven = points.last { [proofs] in proofs[$0.id] != nil && $0.obstacle == nil }.flatMap { [proofs] in
      proofs[$0.id]
    }
    summary = DrillSummary(
      last: drills.first?.started, lastPassed: drills.first { $0.passed }?.started,
      failure: drills.first.flatMap { drill in
        drill.failure.map { .init(time: drill.started, words: "\(drill.subject.id): \($0.message)") }
      }, oldestPoint: points.filter { $0.obstacle == nil }.map(\.metadata.created).min())
  }

  private static func proofs(_ drills: [DrillRecord], _ points: [StoredPoint]) -> [PointID: Proof] {
    // The newest drill with a result about the backup decides; drills come newest first.
    let telling = drills.filter { $0.failure?.speaksAgainstPoint ?? true }
    let newest = Dictionary(telling.map { ($0.subject.id, $0) }, uniquingKeysWith: { first, _ in first })
    return points.reduce(into: [:]) { proofs, point in
      guard let drill = newest[point.id], drill.passed, point.canBeProven, drill.subject.isSame(as: point) else {
        return
      }
      proofs[point.id] = Proof(id: point.id, created: point.metadata.created, proved: drill.started)
    }
  }

  /// The backup with the time at which it was proven.
  package func marked(_ point: StoredPoint) -> StoredPoint {
    var point = point
    point.provenAt = proofs[point.id]?.proved
    return point
  }

  package var passed: [DrillRecord] { drills.filter(\.passed) }
  package var failures: Int { drills.count - passed.count }

  /// The duration of the restore and of the checks in the last drill that passed, in milliseconds.
  package var lastRecovery: (restore: Int64, check: Int64)? {
    passed.first.flatMap { drill in
      guard let restore = drill.restoreMS, let check = drill.checkMS else { return nil }
      return (restore, check)
    }
  }

  /// The median duration of the restore in the newest ``sample`` passed drills, in milliseconds;
  /// nil if no drill passed.
  package var medianRecovery: Int64? {
    let times = passed.prefix(Self.sample).compactMap(\.restoreMS).sorted()
    guard !times.isEmpty else { return nil }
    return (times[(times.count - 1) / 2] + times[times.count / 2]) / 2
  }

  package var json: JSONValue {
    .object([
      "newest_proven": newestProven?.json ?? .null, "total": .optional(drills.count), "failed": .optional(failures),
      "last": drills.first?.json ?? .null, "last_passed_at": .optional(summary.lastPassed?.iso8601),
      "recovery_ms": .optional(lastRecovery?.restore), "check_ms": .optional(lastRecovery?.check),
      "median_recovery_ms": .optional(medianRecovery),
    ])
  }
}

extension DrillFigures.Proof {
  package var json: JSONValue {
    .object([
      "backup_id": .string(id.text), "created_at": .string(created.iso8601), "proven_at": .string(proved.iso8601),
    ])
  }
}

extension DrillRecord.Failure {
  /// Whether the backup itself is at fault: it is damaged, or its content is not as expected.
  package var speaksAgainstPoint: Bool { code.exitCode == HoldfastError.Code.verificationFailed.exitCode }
}

extension StoredPoint {
  /// Whether no defect of the backup is known, so that a drill may prove it.
  fileprivate var canBeProven: Bool {
    !archiveMissing && !isDamaged && brokenLink == nil && name.content != .raw
      && (metadata.status == .completed || metadata.status == .verified)
  }
}
