import BackupPolicy

/// How long a guard's backup stays, whatever the rules say.
package enum GuardKeeping: Hashable, Sendable {
  /// Until it is unpinned.
  case pinned
  /// Pinned for so many seconds, then kept by the rules.
  case seconds(Int64)
  /// As long as a safety backup.
  case asSafetyBackup
}

extension Engine {
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
