import BackupPolicy

extension BackupService {
  /// Stores a full backup of the database, and returns when it is on the disk.
  ///
  /// The database is read as of one moment, committed transactions only. In WAL mode nobody waits for that; with a rollback
  /// journal writers wait as long as copying the file takes. The archive appears under its name as the last step: a call
  /// that fails, is cancelled or loses power leaves no point behind.
  ///
  /// - Parameters:
  ///   - type: why it is made; what retention goes by.
  ///   - description: words for people, kept in the clear.
  ///   - tags: words to find it by, kept in the clear.
  ///   - encrypt: nil for the service's own setting.
  ///   - compress: nil for the service's own setting.
  ///   - progress: called with bytes of the database while it is read.
  /// - Returns: what is recorded of the point.
  /// - Throws: `HoldfastError`: `databaseMissing` (a database is never made by a backup), `notADatabase`,
  ///   `databaseCorrupt`, `busy`, `keyMissing`, `wrongKey` where the newest point opens with another key, `noSpace`,
  ///   `permissionDenied`, `ioError`, `interrupted`.
  @discardableResult
  public func create(
    type: BackupType = .manual, description: String? = nil, tags: [String] = [], encrypt: Bool? = nil,
    compress: Bool? = nil, progress: ProgressReport? = nil
  ) async throws -> PointMetadata {
    var request = CreateRequest(defaults, for: BackupReason(type, description: description, tags: tags))
    request.archive.encrypt = encrypt ?? defaults.encrypt
    request.archive.compress = compress ?? defaults.compress
    return try await BlockingWork.run("create a backup", report: progress) { [request] in
      self.noteClock()
      return try self.create(request, progress: $0)
    }
  }

  /// The points in the repository, newest first.
  ///
  /// Nothing is verified for that: a point's ``PointMetadata/status`` is what was last known, but a point whose archive
  /// cannot be read now is `failed`.
  ///
  /// - Parameter limit: the most to return, the newest ones; nil for all.
  /// - Throws: `HoldfastError`: `pointNotFound` where there is no repository yet, `usage` for a negative limit.
  public func list(limit: Int? = nil) async throws -> [PointMetadata] {
    guard limit ?? 0 >= 0 else { throw HoldfastError(.usage, "the limit must not be negative, and is \(limit ?? 0)") }
    return try await BlockingWork.run("list the backups") { _ in
      let points = try self.list().map(\.metadata)
      return Array(points.prefix(limit ?? points.count))
    }
  }

  /// What is recorded of one point.
  ///
  /// - Parameter reference: an ID, a unique prefix of one, or `latest` for the newest sound point that no restore put aside.
  /// - Throws: `HoldfastError`: `pointNotFound`, or `usage` where a prefix fits several.
  public func metadata(of reference: String) async throws -> PointMetadata {
    try await BlockingWork.run("find a backup") { _ in try self.point(reference).metadata }
  }

  /// Verifies a point and records the result in its metadata.
  ///
  /// A point that fails is a result and no error: see ``Verification/verified`` and ``Verification/errors``.
  ///
  /// - Parameters:
  ///   - id: the point.
  ///   - depth: `full` decrypts and decompresses everything and runs SQLite's own checks; `quick` needs no key.
  ///   - recheck: whether SQLite's checks run even where the same content passed them before.
  ///   - progress: called with bytes of the archive.
  /// - Throws: `HoldfastError`: `pointNotFound`, `keyMissing`, `wrongKey`, `noSpace` in the state folder, `interrupted`.
  @discardableResult
  public func verify(
    _ id: PointID, depth: VerificationDepth = .full, recheck: Bool = false, progress: ProgressReport? = nil
  ) async throws -> Verification {
    try await BlockingWork.run("verify a backup", report: progress) {
      try self.verify(id.text, depth: depth, recheck: recheck, progress: $0)
    }
  }
}

/// How long a guard's backup stays, whatever the rules say.
package enum GuardKeeping: Hashable, Sendable {
  /// Until it is unpinned.
  case pinned
  /// Pinned for so many seconds, then kept by the rules.
  case seconds(Int64)
  /// As long as a safety backup.
  case asSafetyBackup
}

extension BackupService {
  /// Stores a backup of type `guard`: pinned, and proved by a full verification before anything may go on that relies on it.
  ///
  /// - Throws: `verificationFailed` and whatever keeps a backup from being stored. A point that was stored all the same is no
  ///   longer pinned then, and goes as safety backups go.
  package func createGuard(
    _ request: CreateRequest, keeping: GuardKeeping = .pinned, progress: Progress = Progress()
  ) throws -> PointMetadata {
    var request = request
    request.reason.type = .guard
    let id = try create(request, progress: progress).id
    do {
      // Its type says it already, but a plain archive has no header to prove that.
      var end: Timestamp?
      if case .seconds(let seconds) = keeping { end = environment.now().adding(seconds: seconds) }
      try setPin(true, of: id.text, until: end)
      let verification = try verify(id.text, progress: progress)
      guard verification.verified else {
        throw HoldfastError(
          .verificationFailed, "\(id) does not verify: \(verification.errors.joined(separator: "; "))",
          hint: "check the database with PRAGMA integrity_check, and the disk")
      }
      if keeping == .asSafetyBackup { try setPin(false, of: id.text) }
      return try point(id.text).metadata
    } catch {
      _ = try? setPin(false, of: id.text)
      throw error
    }
  }
}
