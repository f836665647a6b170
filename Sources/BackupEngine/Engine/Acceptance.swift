import BackupPolicy

/// The result of accepting a backup.
///
/// ```swift
/// let acceptance = try await service.accept(backup.id)
/// print("accepted: \(acceptance.anomalies)")
/// ```
public struct Acceptance: Sendable {
  /// The backup, with its new record.
  public package(set) var point: PointMetadata
  /// The anomalies of the backup, as text that follows its ID.
  public package(set) var anomalies: [String]
  /// Whether it was already accepted; then nothing was changed.
  public package(set) var wasAccepted: Bool

  package var json: JSONValue {
    .object([
      "backup_id": .string(point.id.text), "accepted": .bool(point.acceptedAt != nil),
      "accepted_at": .optional(point.acceptedAt?.iso8601), "anomalies": .array(anomalies.map { .string($0) }),
    ])
  }
}

extension Engine {
  /// Returns the result that ``accept(_:)`` would have.
  package func planAcceptance(_ reference: String) throws -> Acceptance {
    try Self.acceptance(of: repository().point(reference))
  }

  /// Records that the unusual content of a backup was intended: it no longer holds the backups
  /// before it. Accepting a backup again changes nothing.
  ///
  /// - Throws: `refused` if there is nothing to accept, or if this host cannot authenticate the
  ///   backup.
  package func accept(_ reference: String, progress: Progress = Progress()) throws -> Acceptance {
    let repository = try repository()
    let id = try Self.acceptance(of: repository.point(reference)).point.id
    return try repository.exclusively(patience: environment.repositoryPatience.stopped(by: progress)) {
      // Read again under the lock: a verification may have written meanwhile.
      let current = try repository.point(id.text)
      var acceptance = try Self.acceptance(of: current)
      guard !acceptance.wasAccepted else { return acceptance }
      acceptance.point.accept(at: environment.now())
      try progress.check()
      progress.mustEnd()
      try repository.write(acceptance.point)
      return acceptance
    }
  }

  /// Returns the result that ``acceptUnauthenticated(_:)`` would have.
  package func planUnauthenticatedAcceptance(_ reference: String) throws -> Acceptance {
    try Self.unauthenticatedAcceptance(of: repository().point(reference))
  }

  /// Makes a backup without authentication this host's own. A plain or CBC archive is accepted by
  /// its checksum. An authenticated archive of a repository that this host does not know is
  /// accepted by its key, and with it all others of that repository.
  ///
  /// - Throws: `refused` if the backup is authenticated; `wrongKey`, `keyMissing` if the key does
  ///   not open it.
  package func acceptUnauthenticated(_ reference: String, progress: Progress = Progress()) throws -> Acceptance {
    let repository = try repository()
    return try repository.exclusively(patience: environment.repositoryPatience.stopped(by: progress)) {
      let point = try repository.point(reference)
      let acceptance = try Self.unauthenticatedAcceptance(of: point)
      guard !acceptance.wasAccepted else { return acceptance }
      try progress.check()
      progress.mustEnd()
      try repository.rememberAsOwn(point)
      return acceptance
    }
  }

  private static func unauthenticatedAcceptance(of point: StoredPoint) throws -> Acceptance {
    if point.isDamaged || point.archiveMissing {
      throw HoldfastError(
        .refused, "\(point.id) cannot be accepted: \(point.problems.first ?? "its archive is damaged")",
        hint: "run holdfast verify \(point.id) for details")
    }
    return Acceptance(
      point: point.metadata, anomalies: point.isAuthenticated ? [] : point.ownProblems,
      wasAccepted: point.isAuthenticated)
  }

  private static func acceptance(of point: StoredPoint) throws -> Acceptance {
    let refusal: String? =
      if !point.isAuthenticated {
        "it is not authenticated; --unauthenticated accepts it if you know its origin"
      } else if point.isDamaged || point.archiveMissing {
        "\(point.problems.first ?? "its archive is damaged"), and it holds no other backups"
      } else if point.metadata.allAnomalies.isEmpty && point.metadata.acceptedAt == nil {
        "it is not anomalous"
      } else {
        nil
      }
    if let refusal {
      throw HoldfastError(
        .refused, "\(point.id) cannot be accepted: \(refusal)", hint: "holdfast list shows the anomalous backups")
    }
    return Acceptance(
      point: point.metadata, anomalies: point.metadata.allAnomalies, wasAccepted: point.metadata.acceptedAt != nil)
  }
}
