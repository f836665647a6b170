import BackupPolicy

/// What the history of drills says of a repository as it is now.
package struct DrillFigures: Sendable {
  /// A point that passed a drill.
  package struct Proof: Hashable, Sendable {
    package var id: PointID
    /// When the point was made.
    package var created: Timestamp
    /// When it passed.
    package var proved: Timestamp
  }

  /// How many of the newest drills that passed the measured times are of.
  package static let sample = 10

  /// The newest first.
  package let drills: [DrillRecord]
  /// By point: the sound ones whose newest drill passed.
  package let proofs: [PointID: Proof]
  /// The newest point of the database's own history among them.
  package let newestProven: Proof?
  package let standing: DrillStanding

  /// - Parameters:
  ///   - drills: the newest first.
  ///   - points: every point of the repository, the oldest first.
  package init(_ drills: [DrillRecord], _ points: [StoredPoint]) {
    self.drills = drills
    proofs = Self.proofs(drills, points)
    newestProven = points.last { [proofs] in proofs[$0.id] != nil && $0.obstacle == nil }.flatMap { [proofs] in
      proofs[$0.id]
    }
    standing = DrillStanding(
      last: drills.first?.started, lastPassed: drills.first { $0.passed }?.started,
      failure: drills.first.flatMap { drill in
        drill.failure.map { .init(time: drill.started, words: "\(drill.subject.id): \($0.message)") }
      }, oldestPoint: points.filter { $0.obstacle == nil }.map(\.metadata.created).min())
  }

  private static func proofs(_ drills: [DrillRecord], _ points: [StoredPoint]) -> [PointID: Proof] {
    // The newest drill that says something of the point decides; drills come newest first.
    let telling = drills.filter { $0.failure?.speaksAgainstPoint ?? true }
    let newest = Dictionary(telling.map { ($0.subject.id, $0) }, uniquingKeysWith: { first, _ in first })
    return points.reduce(into: [:]) { proofs, point in
      guard let drill = newest[point.id], drill.passed, point.canBeProven, drill.subject.isSame(as: point) else {
        return
      }
      proofs[point.id] = Proof(id: point.id, created: point.metadata.created, proved: drill.started)
    }
  }

  /// The point with the time at which it was proven.
  package func marked(_ point: StoredPoint) -> StoredPoint {
    var point = point
    point.provenAt = proofs[point.id]?.proved
    return point
  }

  package var passed: [DrillRecord] { drills.filter(\.passed) }
  package var failures: Int { drills.count - passed.count }

  /// Milliseconds that the last drill that passed took to restore, and to check.
  package var lastRecovery: (restore: Int64, check: Int64)? {
    passed.first.flatMap { drill in
      guard let restore = drill.restoreMS, let check = drill.checkMS else { return nil }
      return (restore, check)
    }
  }

  /// Milliseconds that the newest ``sample`` drills that passed took to restore, in the middle; nil without any.
  package var medianRecovery: Int64? {
    let times = passed.prefix(Self.sample).compactMap(\.restoreMS).sorted()
    guard !times.isEmpty else { return nil }
    return (times[(times.count - 1) / 2] + times[times.count / 2]) / 2
  }

  package var json: JSONValue {
    .object([
      "newest_proven": newestProven?.json ?? .null, "total": .optional(drills.count), "failed": .optional(failures),
      "last": drills.first?.json ?? .null, "last_passed_at": .optional(standing.lastPassed?.iso8601),
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
  /// Whether the point itself is to blame: it is damaged, or does not hold what it should.
  package var speaksAgainstPoint: Bool { code.exitCode == HoldfastError.Code.verificationFailed.exitCode }
}

extension StoredPoint {
  /// Nothing is known against it, so that a drill may prove it.
  fileprivate var canBeProven: Bool {
    !archiveMissing && !isDamaged && brokenLink == nil && name.content != .raw
      && (metadata.status == .completed || metadata.status == .verified)
  }
}
