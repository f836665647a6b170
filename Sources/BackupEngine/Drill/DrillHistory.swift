import BackupPolicy

/// The drills of a repository, in `.metadata/drills/`: one small file for each, named by its time.
///
/// No search for backups reads below `.metadata`, and no backup has such a name.
package struct DrillHistory: Sendable {
  let repository: Repository

  /// How many drills are kept: one a day for more than a year. The newest drill that passed always
  /// stays.
  package static let limit = 400
  /// No record of ours is larger. A larger file comes from another program.
  private static let largestFile = 1 << 20
  package static let name = ".metadata/drills"

  private var folder: String { repository.path(Self.name) }
  private var files: any FileOperations { repository.files }

  /// The drills, newest first. A file that cannot be read or is not a record is skipped with a
  /// warning.
  package func load() throws -> [DrillRecord] {
    try entries().map(\.record)
  }

  private func entries() throws -> [(record: DrillRecord, file: String)] {
    guard try files.status(folder)?.kind == .folder else { return [] }
    let names = try files.list(folder).filter(Self.isRecord)
    let records = try names.compactMap { name in try read(name).map { (record: $0, file: name) } }
    return records.sorted { ($0.record.number, $0.file) > ($1.record.number, $1.file) }
  }

  private func read(_ name: String) throws -> DrillRecord? {
    let path = "\(folder)/\(name)"
    do {
      guard let bytes = try files.contents(path, limit: Self.largestFile) else { return nil }
      if let record = JSONValue(parsing: bytes).flatMap({ DrillRecord($0) }) { return record }
      repository.logger.warning("\(path) is not a record of a drill and is skipped")
    } catch let error as HoldfastError where error.isShortage {
      throw error
    } catch {
      repository.logger.warning("a record of a drill is skipped: \((error as? HoldfastError)?.message ?? "\(error)")")
    }
    return nil
  }

  /// Adds a drill, flushed to the disk, and removes the oldest beyond ``limit``.
  ///
  /// - Returns: the record with its number.
  func append(_ record: DrillRecord, patience: LockPatience) throws -> DrillRecord {
    try repository.exclusively(patience: patience) {
      try files.makeFolders(folder)
      for name in try files.list(folder) where Self.isLeftover(name) { try files.unlink("\(folder)/\(name)") }
      let known = try entries()
      var record = record
      record.number = (known.first?.record.number ?? 0) + 1
      try files.replace("\(folder)/\(try freeName(at: record.started))", with: record.json.encoded())
      try prune(known, passed: record.passed)
      return record
    }
  }

  /// `drill_20261123_040000.json`, with `_NNN` if a drill of that second exists.
  private func freeName(at time: Timestamp) throws -> String {
    let taken = Set(try files.list(folder))
    let names = (0...).lazy.map { "drill_\(PointID(at: time, number: $0).text.dropFirst("backup_".count)).json" }
    return names.first { !taken.contains($0) } ?? ""
  }

  private static func isRecord(_ name: String) -> Bool {
    name.hasPrefix("drill_") && name.hasSuffix(".json")
      && PointID("backup_\(name.dropFirst("drill_".count).dropLast(".json".count))") != nil
  }

  /// The leftover of a run that died while it wrote: only the process that holds the lock writes
  /// here.
  private static func isLeftover(_ name: String) -> Bool {
    name.hasPrefix(".tmp-") && isRecord(String(name.dropFirst(".tmp-".count)))
  }

  /// - Parameter known: the earlier drills, newest first.
  private func prune(_ known: [(record: DrillRecord, file: String)], passed: Bool) throws {
    let newestPassed = passed ? nil : known.firstIndex { $0.record.passed }
    for (index, entry) in known.enumerated() where index >= Self.limit - 1 && index != newestPassed {
      try files.unlink("\(folder)/\(entry.file)")
    }
  }
}
