import Names

/// The facts that decide whose backups a repository holds, for one database.
package struct OwnershipFacts: Hashable, Sendable {
  /// The path of the database that a command was given, symbolic links resolved.
  package var path: ExactPath
  /// The same path as it was given, absolute.
  package var givenPath: ExactPath
  package var databases: RecordedDatabases
  /// The recorded paths that are other files of this host.
  package var present: Set<ExactPath> = []
  /// The recorded paths that are other names (hard links) of the given file.
  package var sameFiles: Set<ExactPath> = []
  /// Of the tables in the given database; nil if unknown.
  package var tableMarks: Set<UInt32>?
  /// The recorded path whose database the given one is for certain: it is the same file, or most of
  /// its pages are those of that database's newest backup.
  package var proven: ExactPath?

  package init(path: ExactPath, givenPath: ExactPath? = nil, databases: RecordedDatabases) {
    self.path = path
    self.givenPath = givenPath ?? path
    self.databases = databases
  }
}

/// The owner of a repository's backups, as seen from one database.
///
/// A repository belongs to one database. If it holds backups of several, each database sees only
/// its own.
package enum RepositoryOwnership: Hashable, Sendable {
  /// The backups do not name a database.
  case unclaimed
  /// The database is known by one of its paths.
  case owned(RecordedDatabase)
  /// The database is not known by its path; it continues this one, whose path no longer exists on
  /// this host.
  case moved(RecordedDatabase)
  /// The database is not known by its path; its tables are those of this one, whose path no longer
  /// exists. Databases of one schema are alike in that, and the files' names differ: nothing proves
  /// that it is this one.
  case similar(RecordedDatabase)
  /// The database was at this path, and its tables still are; but its newest backups are of another
  /// path, and that file also exists. One of the two is a copy, and it is unknown which.
  case displaced(RecordedDatabase)
  /// The backups belong to these other databases.
  case foreign([RecordedDatabase])

  package static func decide(_ facts: OwnershipFacts) -> RepositoryOwnership {
    let databases = facts.databases.all
    if databases.isEmpty { return .unclaimed }
    if let known = databases.first(where: { $0.isKnown(facts) }) { return .owned(known) }
    let earlier = databases.first { $0.paths.contains(facts.path) }
    if let earlier, earlier.goesOn(in: facts.tableMarks) == true { return .displaced(earlier) }
    guard earlier == nil else { return .foreign(databases) }
    let gone = databases.filter { !facts.present.contains($0.path) }
    if let same = gone.first(where: { $0.path == facts.proven }) { return .moved(same) }
    let like = gone.filter { $0.goesOn(in: facts.tableMarks) != false }
    guard let candidate = theOne(of: like, facts) else { return .foreign(databases) }
    let isNamesake = candidate.path.fileName == facts.path.fileName
    return isNamesake || candidate.goesOn(in: facts.tableMarks) == nil ? .moved(candidate) : .similar(candidate)
  }

  /// The tables name the candidate. If there is no content to compare (a new machine after a
  /// disaster), the file's name must be the same.
  private static func theOne(of gone: [RecordedDatabase], _ facts: OwnershipFacts) -> RecordedDatabase? {
    let continued = gone.filter { $0.goesOn(in: facts.tableMarks) == true }
    if continued.count == 1 { return continued[0] }
    // If another recorded database still exists, only content is proof.
    guard gone.count == facts.databases.all.count else { return nil }
    let namesakes = gone.filter { $0.path.fileName == facts.path.fileName }
    return namesakes.count == 1 ? namesakes[0] : nil
  }
}

extension RepositoryOwnership {
  /// The database whose backups these are; nil if the backups do not name a database, or belong to
  /// others.
  package var database: RecordedDatabase? {
    switch self {
    case .owned(let database), .moved(let database), .displaced(let database): database
    case .unclaimed, .similar, .foreign: nil
    }
  }

  /// The database that the given one has to continue before a backup of it may be stored: only its
  /// tables, or those and its file's name, speak for that. Nil if there is none, or if it is proven.
  package func unproven(_ facts: OwnershipFacts) -> RecordedDatabase? {
    switch self {
    case .similar(let other): return other
    case .moved(let before):
      return before.path != facts.proven && before.goesOn(in: facts.tableMarks) == true ? before : nil
    case .unclaimed, .owned, .displaced, .foreign: return nil
    }
  }

  /// The other paths that the next backup records, the most recent first.
  ///
  /// - Parameter facts: the facts behind this decision.
  package func otherPaths(_ facts: OwnershipFacts) -> [ExactPath] {
    let paths = [facts.givenPath] + (database?.paths ?? [])
    var others: [ExactPath] = []
    for path in paths where path != facts.path && !others.contains(path) { others.append(path) }
    return Array(others.prefix(Self.mostPaths))
  }

  /// Earlier backups hold the older paths.
  private static let mostPaths = 16
}

extension RecordedDatabase {
  /// By its present path, by the name that people use, or by an earlier path if the present one no
  /// longer exists. A link may lead to another database now, and an earlier path may belong to
  /// another file: the tables must not contradict the match.
  fileprivate func isKnown(_ facts: OwnershipFacts) -> Bool {
    if path == facts.path || facts.sameFiles.contains(path) { return true }
    let isCalledSo = facts.givenPath != facts.path && paths.contains(facts.givenPath)
    guard isCalledSo || paths.contains(facts.path) && !facts.present.contains(path) else { return false }
    return goesOn(in: facts.tableMarks) != false
  }

  /// Maximum number of tables with marks; the lowest marks are kept, so that those of two databases
  /// can be compared.
  private static let mostMarks = 16

  /// Whether a database with these tables can be this one: more than half of all their tables are
  /// in both; nil if the tables of one are empty or unknown. A single table of migrations, which
  /// many databases have, is no proof.
  fileprivate func goesOn(in marks: Set<UInt32>?) -> Bool? {
    guard let marks, !marks.isEmpty, !tableMarks.isEmpty else { return nil }
    var all = marks.union(tableMarks)
    if max(marks.count, tableMarks.count) >= Self.mostMarks { all = Set(all.sorted().prefix(Self.mostMarks)) }
    return 2 * all.intersection(marks).intersection(tableMarks).count > all.count
  }
}

extension RepositoryOwnership {
  /// The reason why no backup may be stored; nil if one may be.
  ///
  /// - Parameters:
  ///   - facts: the facts behind this decision.
  ///   - isSafety: the backup keeps the content that a restore is about to replace.
  package func obstacle(_ facts: OwnershipFacts, folder: String, isSafety: Bool) -> HoldfastError? {
    if let other = unproven(facts), !isReplaced(isSafety) {
      return Self.similarError(facts.path.text, folder: folder, other)
    }
    switch self {
    case .unclaimed, .owned, .similar: return nil
    case .foreign(let others): return Self.storingError(facts.path.text, folder: folder, others)
    case .displaced(let other): return Self.displacedError(facts.path.text, folder: folder, other)
    case .moved(let before):
      // If an application finds no file, it creates an empty one: that does not prove a move, and
      // the disk may come back.
      let isEmpty = facts.tableMarks?.isEmpty ?? false
      guard isEmpty, !isSafety, !before.tableMarks.isEmpty else { return nil }
      return Self.storingError(facts.path.text, folder: folder, [before])
    }
  }

  /// On a new machine the application may have made a database before anybody restores the backups.
  /// The plan of that restore names the other path; what it replaces is kept beside those backups.
  private func isReplaced(_ isSafety: Bool) -> Bool {
    if case .moved = self { isSafety } else { false }
  }

  private static func similarError(_ path: String, folder: String, _ other: RecordedDatabase) -> HoldfastError {
    let (own, old) = ("\(folder)-\(stem(path))".shellWord, other.path.text.shellWord)
    return HoldfastError(
      .refused,
      "the backup folder \(folder) holds the backups of \(other.path), which is gone; \(path) has the same tables, but not its content",
      hint:
        "holdfast create --database \(path.shellWord) --backup-dir \(own) keeps this one's backups apart; if it is the same database, move it back to \(old), run holdfast create --database \(old) --backup-dir \(folder.shellWord), and move it again"
    )
  }

  private static func displacedError(_ path: String, folder: String, _ other: RecordedDatabase) -> HoldfastError {
    let (place, own) = (folder.shellWord, "\(folder)-\(stem(path))".shellWord)
    return HoldfastError(
      .refused,
      "the backups of \(path) in \(folder) continued with \(other.path), and both files exist: one of them is a copy",
      hint:
        "holdfast create --database \(path.shellWord) --backup-dir \(own) keeps this one's further backups apart; if \(other.path) is the copy, move it away, or delete its backups (holdfast list --database \(other.path.text.shellWord) --backup-dir \(place)), and this one goes on here"
    )
  }
}

extension RepositoryOwnership {
  /// The reason why a command that reads shows nothing.
  ///
  /// - Parameters:
  ///   - database: its path as it was given.
  ///   - folder: of the repository.
  package static func readingError(_ database: String, folder: String, _ others: [RecordedDatabase]) -> HoldfastError {
    let first = (others.first?.path.text ?? database).shellWord
    let place = "--database \(first) --backup-dir \(folder.shellWord)"
    return HoldfastError(
      .refused, "the backup folder \(folder) holds no backups of \(database); it holds those of \(list(others))",
      hint:
        "holdfast list \(place) shows those; holdfast restore latest \(place) --to \(database.shellWord) restores the newest of them to that file, if it does not exist yet"
    )
  }

  /// The reason why no backup is stored.
  package static func storingError(_ database: String, folder: String, _ others: [RecordedDatabase]) -> HoldfastError {
    let own = "\(folder)-\(stem(database))"
    return HoldfastError(
      .refused,
      "the backup folder \(folder) holds the backups of another database, \(list(others)), and not of \(database)",
      hint:
        "holdfast create --database \(database.shellWord) --backup-dir \(own.shellWord); or in holdfast.toml: [[databases]] path = \"\(database)\", backup_dir = \"\(own)\""
    )
  }

  private static func list(_ others: [RecordedDatabase]) -> String {
    let shown = others.prefix(3).map(\.path.text).joined(separator: ", ")
    return others.count > 3 ? "\(shown) and \(others.count - 3) more" : shown
  }

  private static func stem(_ path: String) -> String {
    let name = ExactPath(path).fileName.text
    return name.lastIndex(of: ".").flatMap { $0 > name.startIndex ? String(name[..<$0]) : nil } ?? name
  }
}

extension String {
  /// Quoted so that a shell reads it back as one word.
  package var shellWord: String {
    let isPlain =
      !isEmpty
      && utf8.allSatisfy { byte in
        (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
          || "@%+=:,./-_".utf8.contains(byte)
      }
    return isPlain ? self : "'\(replacing("'", with: "'\\''"))'"
  }
}

/// The record that one backup has of its database.
package struct OwnershipRecord: Hashable, Sendable {
  /// The database's path, symbolic links resolved; nil in backups of the original service.
  package var path: ExactPath?
  /// Other paths of the same database: as it was given, and before it was moved.
  package var otherPaths: [ExactPath]
  /// See ``PointContent/tableMarks``.
  package var tableMarks: Set<UInt32>

  package init(path: ExactPath?, otherPaths: [ExactPath] = [], tableMarks: Set<UInt32> = []) {
    self.path = path
    self.otherPaths = otherPaths
    self.tableMarks = tableMarks
  }
}

/// A database with backups in a repository.
package struct RecordedDatabase: Hashable, Sendable {
  /// The path in its newest backup.
  package fileprivate(set) var path: ExactPath
  /// Every path that its backups name, the most recent first.
  package fileprivate(set) var paths: [ExactPath]
  /// Of the newest backup that has table marks.
  package fileprivate(set) var tableMarks: Set<UInt32>
}

/// The databases with backups in a repository, in the order of their first backups.
///
/// Backups belong to the same database if they name the same path, or if one of them lists the path
/// of the other among its other paths.
package struct RecordedDatabases: Hashable, Sendable {
  package private(set) var all: [RecordedDatabase] = []

  /// - Parameter records: of every backup, the oldest first.
  package init(_ records: some Sequence<OwnershipRecord>) {
    for record in records { add(record) }
  }

  /// Backups without a path belong to the database that was backed up first.
  package func database(of path: ExactPath?) -> RecordedDatabase? {
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
