import BackupPolicy

/// How long a guard's backup stays, independent of the rules.
package enum GuardKeeping: Hashable, Sendable {
  /// Until it is unpinned.
  case pinned
  /// Pinned for this number of seconds, then kept by the rules.
  case seconds(Int64)
  /// As long as a safety backup.
  case asSafetyBackup
}

extension Engine {
  /// Stores a backup of type `guard`: pinned, and proven by a full verification before the guarded
  /// command may run.
  ///
  /// - Throws: `verificationFailed` and the errors of storing a backup. If a backup was stored all
  ///   the same, it is no longer pinned, and is removed like a safety backup.
  package func createGuard(
    _ request: CreateRequest, keeping: GuardKeeping = .pinned, progress: Progress = Progress()
  ) throws -> PointMetadata {
    var request = request
    request.reason.type = .guard
    let id = try create(request, progress: progress).id
    do {
      // Its type already implies the pin, but a plain archive has no header that proves the type.
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
