import BackupPolicy
import Glibc
import Names

/// The record that this host keeps of a repository. It is stored outside of the repository, so a
/// user who can write only there cannot change it.
///
/// If a known repository is missing, it is never replaced silently. When another repository is
/// begun at its path, its ID stays known, and its backups belong to this host again as soon as they
/// are back.
///
/// The first authenticated backup *seals* the repository. From then on a plain or CBC backup counts
/// only if this host knew its checksum at that time or has stored it since. Otherwise anybody could
/// replace an authenticated archive by one without a key.
package struct HostState: Hashable, Sendable {
  package var repositoryPath: String
  /// The repository of the last authenticated backup: 32 hexadecimal digits; nil before the first
  /// one.
  package private(set) var repositoryID: String?
  /// Other repositories that were used at this path, with the newest sequence expected in each.
  private var formerRepositories: [String: UInt64] = [:]
  /// Paths that the user gave for the folder and that led to ``repositoryPath`` through links.
  private(set) var givenPaths: Set<ExactPath> = []
  /// The database whose backup was stored last, symbolic links resolved; nil if an older version stored it.
  package private(set) var databasePath: ExactPath?
  /// Absolute paths by which that database was given, links unresolved: a link into a disk leads nowhere if the disk is not
  /// mounted.
  package private(set) var givenDatabases: Set<ExactPath> = []
  /// The file of that database; nil if the file system cannot identify it.
  private(set) var databaseFile: FileBirth?
  package var sealed = false
  /// The highest sequence that this host ever stored. No later backup gets it again.
  package var newestSequence: UInt64 = 0
  /// No incremental builds on a backup up to this sequence: a target was taken over when it was the
  /// newest one.
  package var fullAfter: UInt64 = 0
  /// The highest sequence that the repository is expected to hold.
  package var expectedSequence: UInt64 = 0
  /// The trusted plain and CBC backups, as `ID checksum`: one backup's bytes are not trusted under
  /// the ID of another.
  package private(set) var accepted: Set<String> = []

  package init(repositoryPath: String) {
    self.repositoryPath = repositoryPath
  }

  /// Every repository that this host used at this path.
  var repositoryIDs: Set<String> { Set(formerRepositories.keys).union(repositoryID.map { [$0] } ?? []) }

  /// Whether this host stored backups at this path. An accepted backup alone does not make it true.
  var isOfStoredBackups: Bool { newestSequence > 0 || repositoryID != nil }

  /// Sets the repository of the next authenticated backup. The earlier ones stay known.
  mutating func use(_ id: String) {
    guard id != repositoryID else { return }
    if let repositoryID { formerRepositories[repositoryID] = expectedSequence }
    expectedSequence = formerRepositories.removeValue(forKey: id) ?? 0
    repositoryID = id
  }

  /// Usually few links lead to one folder. The limit matters if a caller makes a new link each
  /// time.
  private static let mostGivenPaths = 16

  mutating func record(givenPath: ExactPath) {
    guard givenPaths.count < Self.mostGivenPaths else { return }
    givenPaths.insert(givenPath)
  }

  /// - Parameter database: as the user or a pattern gave it.
  mutating func record(database: String) {
    let resolved = ExactPath(database.resolvingLinks)
    if resolved != databasePath { givenDatabases = [] }
    databasePath = resolved
    databaseFile = FileBirth(path: resolved.text)
    if givenDatabases.count < Self.mostGivenPaths { givenDatabases.insert(ExactPath(database.absolutePath)) }
  }

  /// The paths by which the folder of backups was given, links unresolved, and the one with links resolved.
  package var folders: Set<ExactPath> { givenPaths.union([ExactPath(repositoryPath)]) }

  /// Makes another repository's backups this host's own.
  mutating func know(_ id: String) {
    guard !repositoryIDs.contains(id) else { return }
    formerRepositories[id] = 0
  }

  /// Returns the highest sequence that one of the repositories is expected to hold.
  ///
  /// - Parameter id: nil for the most recently used one.
  func expectedSequence(in id: String?) -> UInt64 {
    id.flatMap { formerRepositories[$0] } ?? expectedSequence
  }

  func acceptedChecksum(of id: PointID) -> String? {
    accepted.first { $0.hasPrefix("\(id) ") }.map { String($0.dropFirst(id.text.count + 1)) }
  }

  mutating func accept(_ id: PointID, checksum: String) {
    accepted.insert("\(id) \(checksum)")
  }

  func accepts(_ id: PointID, checksum: String) -> Bool {
    accepted.contains("\(id) \(checksum)")
  }
}

extension HostState {
  var json: JSONValue {
    let former = formerRepositories.map { id, expected in
      (key: Array(id.utf8), value: JSONValue.integer(Int64(clamping: expected)))
    }
    return .object([
      "repository_path": .string(repositoryPath), "repository_id": .optional(repositoryID), "sealed": .bool(sealed),
      "newest_sequence": .integer(Int64(clamping: newestSequence)),
      "expected_sequence": .integer(Int64(clamping: expectedSequence)),
      "full_after": .integer(Int64(clamping: fullAfter)),
      "accepted": .array(accepted.sorted().map { .string($0) }),
      "former_repositories": .object(JSONObject(former)),
      "given_paths": .array(givenPaths.map(\.text).sorted().map { .string($0) }),
      "database_path": .optional(databasePath?.text), "database_file": .optional(databaseFile?.text),
      "given_databases": .array(givenDatabases.map(\.text).sorted().map { .string($0) }),
    ])
  }

  init?(_ json: JSONValue) {
    guard case .object(let keys) = json, case .string(let path) = keys["repository_path"],
      case .bool(let sealed) = keys["sealed"], case .integer(let newest) = keys["newest_sequence"],
      case .array(let accepted) = keys["accepted"], newest >= 0
    else { return nil }
    self.init(repositoryPath: path)
    if case .string(let id) = keys["repository_id"] { repositoryID = id }
    self.sealed = sealed
    newestSequence = UInt64(newest)
    if case .integer(let expected) = keys["expected_sequence"], expected >= 0 { expectedSequence = UInt64(expected) }
    if case .integer(let newest) = keys["full_after"], newest >= 0 { fullAfter = UInt64(newest) }
    if case .object(let former) = keys["former_repositories"] {
      for id in former.keys {
        if case .integer(let expected) = former[id] { formerRepositories[id] = UInt64(clamping: expected) }
      }
    }
    givenPaths = Self.paths(keys["given_paths"])
    givenDatabases = Self.paths(keys["given_databases"])
    if case .string(let path) = keys["database_path"] { databasePath = ExactPath(path) }
    if case .string(let file) = keys["database_file"] { databaseFile = FileBirth(text: file) }
    self.accepted = Set(accepted.compactMap { if case .string(let text) = $0 { text } else { nil } })
  }

  private static func paths(_ json: JSONValue?) -> Set<ExactPath> {
    guard case .array(let paths) = json else { return [] }
    return Set(paths.compactMap { if case .string(let path) = $0 { ExactPath(path) } else { nil } })
  }
}

/// The folder of host states: one small JSON file per repository.
package struct HostStateStore: Sendable {
  let folder: String
  let files: any FileOperations

  /// - Parameter folder: `$XDG_STATE_HOME/holdfast` or systemd's state directory.
  package init(folder: String, files: any FileOperations) {
    self.folder = folder
    self.files = files
  }

  /// Returns the state of the repository at this path or, because it may have been moved, of the
  /// one with this ID.
  ///
  /// - Throws: if the state exists and cannot be read. Without it the seal would be undone.
  func load(path: String, repositoryID: () -> String?) throws -> HostState? {
    do {
      if let state = try read(try file(path)) { return state }
    } catch let error as HoldfastError where error.systemErrno == ELOOP {
      try requireFolder()
      throw error
    }
    try requireFolder()
    guard try files.status(folder) != nil, let repositoryID = repositoryID() else { return nil }
    let states = try all()
    return states.first { $0.repositoryID == repositoryID }
      ?? states.first { $0.repositoryIDs.contains(repositoryID) }
  }

  /// Returns the states of repositories that a link at this path led to.
  func load(givenPath: ExactPath) throws -> [HostState] {
    try all().filter { $0.givenPaths.contains(givenPath) }
  }

  /// The states of all repositories in which this host stored backups, ordered by path, and the errors of those that cannot be
  /// read. They tell which databases and repositories are missing if a disk with both is not mounted.
  package func statesOfStoredBackups() throws -> (states: [HostState], errors: [HoldfastError]) {
    var errors: [HoldfastError] = []
    let states = try names().compactMap { name -> HostState? in
      do {
        if let state = try read("\(folder)/\(name)") { return state }
        // A listed name without a file is a link that leads nowhere.
        throw HoldfastError.notAFile("read", "\(folder)/\(name)")
      } catch {
        errors.append(error as? HoldfastError ?? HoldfastError(.failed, "cannot read \(folder)/\(name): \(error)"))
        return nil
      }
    }
    return (states.filter(\.isOfStoredBackups).sorted { $0.repositoryPath < $1.repositoryPath }, errors)
  }

  /// Returns the highest number that this host stored in a repository; nil if it knows none with this
  /// ID.
  package func newestSequence(ofRepository id: String) throws -> UInt64? {
    try all().filter { $0.repositoryIDs.contains(id) }.map { $0.expectedSequence(in: id) }.max()
  }

  /// Another repository's damaged state is no reason to refuse this one.
  func all() throws -> [HostState] { try names().compactMap { try? read("\(folder)/\($0)") } }

  /// The files of the states, in no order.
  package func names() throws -> [String] {
    try requireFolder()
    guard try files.status(folder) != nil else { return [] }
    return try files.list(folder).filter { name in
      name.hasSuffix(".json") && name.utf8.count == 37 && name.utf8.prefix(32).allSatisfy { Self.digits.contains($0) }
    }
  }

  /// Without the folder every repository would look unknown, and a seal would be undone.
  ///
  /// - Throws: `refused` if there is something else in its place; a missing folder is no error.
  private func requireFolder() throws {
    guard let obstacle = FolderObstacle(at: folder) else { return }
    throw HoldfastError(
      .refused, "this host's records of its repositories cannot be read: \(obstacle.problem)", hint: obstacle.hint)
  }

  private static let digits = Set("0123456789abcdef".utf8)

  /// The file in which the state of the repository at this path is remembered, for hints.
  func path(of state: HostState) throws -> String { try file(state.repositoryPath) }

  func save(_ state: HostState) throws {
    try requireFolder()
    try files.makeFolders(folder)
    try files.replace(try file(state.repositoryPath), with: state.json.encoded())
  }

  private func file(_ path: String) throws -> String {
    "\(folder)/\(try path.fileNameHash()).json"
  }

  private func read(_ path: String) throws -> HostState? {
    guard let bytes = try files.contents(path) else { return nil }
    guard let state = JSONValue(parsing: bytes).flatMap({ HostState($0) }) else {
      throw HoldfastError(
        .failed, "\(path) is damaged: it records which archives of the repository are trusted",
        hint: "restore it from a copy, or remove it to trust the repository as it is now")
    }
    return state
  }
}

/// Finds the database of a repository's backups without opening the repository, for databases that
/// no longer exist.
package enum KnownDatabase {
  /// Returns the path, symbolic links resolved; nil if the folder names no database.
  ///
  /// The path is not authenticated. It only shows people which database the backups are of.
  package static func path(of folder: String, _ files: any FileOperations) -> String? {
    text("database", at: "\(folder)/.state/agent.json", files) ?? newestMetadata(folder, files)
  }

  private static func newestMetadata(_ folder: String, _ files: any FileOperations) -> String? {
    let names = (try? files.list("\(folder)/.metadata")) ?? []
    let backups = names.filter { $0.hasPrefix("backup_") && $0.hasSuffix(".json") }
    // One file that is damaged must not hide the database.
    return backups.sorted(by: >).lazy.compactMap { text("database_path", at: "\(folder)/.metadata/\($0)", files) }.first
  }

  private static func text(_ key: String, at path: String, _ files: any FileOperations) -> String? {
    guard let bytes = try? files.contents(path, limit: 1 << 20), case .object(let keys)? = JSONValue(parsing: bytes),
      case .string(let text)? = keys[key]
    else { return nil }
    return text
  }
}
