/// What one backup records of the database it was made of.
package struct OwnershipRecord: Hashable, Sendable {
  /// The database's path, symbolic links resolved; nil in backups of the original service.
  package var path: String?
  /// Other paths of the same database: as it was given, and before it was moved.
  package var otherPaths: [String]
  /// See ``PointContent/tableMarks``.
  package var tableMarks: Set<UInt32>

  package init(path: String?, otherPaths: [String] = [], tableMarks: Set<UInt32> = []) {
    self.path = path
    self.otherPaths = otherPaths
    self.tableMarks = tableMarks
  }
}

/// A database that a repository holds backups of.
package struct RecordedDatabase: Hashable, Sendable {
  /// The path in its newest backup.
  package fileprivate(set) var path: String
  /// Every path that its backups name, the most recent first.
  package fileprivate(set) var paths: [String]
  /// Of the newest backup that has some.
  package fileprivate(set) var tableMarks: Set<UInt32>
}

/// The databases that a repository holds backups of, in the order of their first backups.
///
/// Backups are of one database if they name the same path, or if one of them names the path of the other among its other paths.
package struct RecordedDatabases: Hashable, Sendable {
  package private(set) var all: [RecordedDatabase] = []

  /// - Parameter records: of every backup, the oldest first.
  package init(_ records: some Sequence<OwnershipRecord>) {
    for record in records { add(record) }
  }

  /// Backups without a path are of the database that was backed up first.
  package func database(of path: String?) -> RecordedDatabase? {
    guard let path else { return all.first }
    return all.first { $0.paths.contains(path) }
  }

  private mutating func add(_ record: OwnershipRecord) {
    guard let path = record.path else { return }
    let names = [path] + record.otherPaths
    if let index = all.firstIndex(where: { $0.path == path && names.allSatisfy($0.paths.contains) }) {
      // The usual case: nothing new.
      if !record.tableMarks.isEmpty { all[index].tableMarks = record.tableMarks }
      return
    }
    let known = all.indices.filter { index in names.contains { all[index].paths.contains($0) } }
    var database = RecordedDatabase(path: path, paths: [], tableMarks: record.tableMarks)
    for name in names + known.flatMap({ all[$0].paths }) where !database.paths.contains(name) {
      database.paths.append(name)
    }
    guard let first = known.first else { return all.append(database) }
    if database.tableMarks.isEmpty { database.tableMarks = known.last.map { all[$0].tableMarks } ?? [] }
    all[first] = database
    for index in known.dropFirst().reversed() { all.remove(at: index) }
  }
}
