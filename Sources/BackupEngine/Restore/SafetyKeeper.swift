import BackupPolicy
import SQLitePages

/// Keeps the former content of a restore's target: the newest copy, and its place in the target's
/// history.
final class SafetyKeeper {
  /// The backup of the former content; nil if nothing is kept yet.
  private(set) var point: StoredPoint?
  /// The safety backup's place in the target's history; nil for a raw copy.
  private(set) var position: SnapshotPosition?
  private let target: TargetFacts
  private let restored: PointID
  private let archive: ArchiveOptions
  /// Nil if no safety backup can be stored.
  private let repository: Repository?
  private let environment: EngineEnvironment

  init(
    of target: TargetFacts, before restored: PointID, _ archive: ArchiveOptions, _ repository: Repository?,
    _ environment: EngineEnvironment
  ) {
    self.target = target
    self.restored = restored
    self.archive = archive
    self.repository = repository
    self.environment = environment
  }

  /// Makes a backup of the current content and reads it back, because an unreadable one keeps
  /// nothing.
  func backUp(_ progress: Progress) throws {
    let repository = try requireRepository()
    let stored = try creator(progress).create(safetyRequest(described: "before the restore of \(restored)"))
    position = stored.position
    let point = try repository.point(stored.metadata.id.text)
    self.point = point
    let verification = try Verifier(repository: repository, environment: environment, progress: progress)
      .verify(point, .quick)
    guard verification.verified else {
      throw HoldfastError(
        .verificationFailed,
        "the safety backup \(point.id) does not verify: \(verification.errors.joined(separator: "; "))")
    }
  }

  /// Makes a raw copy of files that SQLite cannot open.
  func copyDamaged(_ progress: Progress) throws {
    let inspector = TargetInspector(target.path, environment)
    let paths = [target.path] + target.sideFiles.map { inspector.side($0) }
    let request = safetyRequest(described: "damaged files as found before the restore of \(restored)")
    let repository = try requireRepository()
    let metadata = try creator(progress).createRaw(request, of: paths, database: target.path)
    point = try repository.point(metadata.id.text)
  }

  private func requireRepository() throws -> Repository {
    guard let repository else {
      throw HoldfastError(
        .refused, "there is no repository for the safety backup of \(target.path)", hint: "name one with --backup-dir")
    }
    return repository
  }

  private func creator(_ progress: Progress) throws -> BackupCreator {
    BackupCreator(
      repository: try requireRepository(), database: target.path, environment: environment,
      progress: progress)
  }

  private func safetyRequest(described description: String) -> CreateRequest {
    CreateRequest(archive, for: BackupReason(.safety, description: description))
  }
}
