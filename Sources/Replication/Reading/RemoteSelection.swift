import BackupEngine
import BackupPolicy

/// Chooses a backup in the targets. Names make the choice, and headers confirm it: a backup that the
/// key does not prove, or that a restore kept, is never `latest` and never the one of a time.
struct RemoteSelection {
  private let reader: RemoteReader
  private let repository: RemoteRepository
  /// The reasons against backups whose headers were read.
  private var obstacles: [PointID: String] = [:]
  /// The exact times of backups whose headers were read.
  private var times: [PointID: Timestamp] = [:]
  private var firstRefusal: HoldfastError?
  /// Anyone can write names: so many that the key does not prove are looked at.
  private static let mostUnproved = 64
  private var unproved = 0

  init(_ reader: RemoteReader) throws {
    self.reader = reader
    repository = try reader.open()
  }

  mutating func choose(_ reference: RemoteReference) throws -> RemoteChoice {
    switch reference {
    case .latest: return try latest()
    case .named(let text): return try named(text)
    case .moment(let moment): return try choose(notAfter: moment)
    case .random: return try random()
    }
  }

  // MARK: The newest

  private mutating func latest() throws -> RemoteChoice {
    while true {
      guard let backup = try repository.newest({ isNewest($0) }) else { throw nothing() }
      if let choice = try confirm(backup, nil) { return choice }
    }
  }

  /// An incomplete backup also counts: it must not be replaced silently by an older one.
  private func isNewest(_ backup: RemoteBackup) -> Bool {
    !backup.isSuperseded && backup.kind != .raw && obstacles[backup.id] == nil && reader.isAllowed(backup)
  }

  /// Returns nil if the backup must not be chosen.
  private mutating func confirm(_ backup: RemoteBackup, _ byTime: PointByTime?) throws -> RemoteChoice? {
    switch try reader.verdict(backup, in: repository, headOnly: unproved > 0) {
    case .damaged(let lost):
      guard try hasOther(backup, lost) else { throw try reader.broken(backup, lost, in: repository) }
    case .unproved(let error): try refuse(backup, error)
    case .usable(let metadata) where metadata?.backupType == .safety: obstacles[backup.id] = Self.safety
    case .usable(let metadata):
      if let byTime, let created = metadata?.created, created > byTime.moment {
        times[backup.id] = created
        return nil
      }
      guard backup.isComplete else { throw try reader.broken(backup, nil, in: repository) }
      return RemoteChoice(
        backup: backup, byTime: byTime, metadata: metadata,
        warnings: (byTime?.warnings ?? skipped(before: backup))
          + (reader.rollbackWarning(backup, in: repository).map { [$0] } ?? []))
    }
    return nil
  }

  private mutating func refuse(_ backup: RemoteBackup, _ error: HoldfastError) throws {
    obstacles[backup.id] = "the key does not prove it"
    firstRefusal = firstRefusal ?? error
    unproved += 1
    guard unproved < Self.mostUnproved else { throw error }
  }

  /// Whether the choice can be made again without a damaged or missing archive: because it was
  /// removed meanwhile, or because the backup has another archive.
  private func hasOther(_ backup: RemoteBackup, _ lost: LostArchive) throws -> Bool {
    if lost.isGone {
      try repository.listAgain(backup.name.chain)
      if !repository.contents.names.contains(backup.name) { return true }
    }
    repository.lose([lost.name])
    // Another archive of the backup may be in a chain that was not looked at.
    if repository.contents.way(to: backup.id) == nil { try repository.listAll() }
    return repository.contents.way(to: backup.id) != nil
  }

  private static let safety = "it is a safety backup"

  private func skipped(before chosen: RemoteBackup) -> [String] {
    let newer = repository.contents.backups.prefix { $0.id != chosen.id }.filter { $0.kind != .raw }
    let skipped: [String] = newer.compactMap { backup in
      guard let reason = obstacle(to: backup), reason != Self.safety else { return nil }
      return "\(backup.id) is newer and was skipped: \(reason)"
    }
    return Array(skipped.prefix(3)) + (skipped.count > 3 ? ["\(skipped.count - 3) more backups were skipped"] : [])
  }

  private func obstacle(to backup: RemoteBackup) -> String? {
    if let known = obstacles[backup.id] ?? backup.obstacle { return known }
    return reader.isAllowed(backup) ? nil : "it is not encrypted, so no key proves its origin"
  }

  private func nothing() -> HoldfastError {
    let address = reader.sources.address
    if let firstRefusal { return firstRefusal }
    let backups = repository.contents.backups
    if let plain = backups.first(where: { !$0.isSuperseded && $0.kind != .raw && !reader.isAllowed($0) }) {
      return HoldfastError.unproved(plain.id)
    }
    guard !backups.isEmpty else {
      return HoldfastError(
        .pointNotFound, "there is no backup in \(address)", hint: "check the address, or ask another target: --from URL"
      )
    }
    return HoldfastError(
      .pointNotFound, "none of the \(backups.count) backups in \(address) can be chosen",
      hint: "holdfast list shows them; use an ID to choose any of them")
  }

  // MARK: By name

  private mutating func named(_ text: String) throws -> RemoteChoice {
    try repository.listAll()
    let backup = try repository.contents.backup(text)
    guard backup.isComplete else { throw try reader.broken(backup, nil, in: repository) }
    switch try reader.verdict(backup, in: repository) {
    case .usable(let metadata):
      let warning = backup.isSuperseded ? ["\(backup.id) is superseded: another machine went on without it"] : []
      return RemoteChoice(backup: backup, byTime: nil, metadata: metadata, warnings: warning)
    case .unproved(let error): throw error
    case .damaged(let lost):
      guard try hasOther(backup, lost) else { throw try reader.broken(backup, lost, in: repository) }
      return try named(text)
    }
  }

  private mutating func random() throws -> RemoteChoice {
    try repository.listAll()
    while let backup = repository.contents.candidates.filter({ isNewest($0) }).randomElement() {
      if let choice = try confirm(backup, nil) { return choice }
    }
    throw nothing()
  }

  // MARK: By time

  private mutating func choose(notAfter moment: Timestamp) throws -> RemoteChoice {
    try repository.listAll()
    while true {
      let backups = repository.contents.backups
      let points = backups.reversed().map { point($0) }
      let choice: PointByTime
      do throws(HoldfastError) {
        choice = try PointByTime.choose(
          points, notAfter: moment, zone: reader.options.zone, now: reader.environment.now())
      } catch {
        throw firstRefusal ?? error
      }
      guard let backup = backups.first(where: { $0.id == choice.id }) else { throw nothing() }
      if let choice = try confirm(backup, choice) { return choice }
    }
  }

  private func point(_ backup: RemoteBackup) -> Point {
    var point = Point(
      id: backup.id, sequence: backup.sequence, created: times[backup.id] ?? backup.created, kind: backup.kind)
    point.obstacle = obstacle(to: backup)
    return point
  }
}

extension RemoteReader {
  /// Chooses a backup and proves it by its header.
  ///
  /// - Throws: `pointNotFound`, `usage` if several IDs begin so, `verificationFailed` if it is
  ///   damaged, `wrongKey`, `keyMissing`, `unauthenticated`, and the errors of stores.
  package func choose(_ reference: RemoteReference) throws -> RemoteChoice {
    var selection = try RemoteSelection(self)
    return try selection.choose(reference)
  }
}
