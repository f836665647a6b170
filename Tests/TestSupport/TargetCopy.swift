import BackupEngine
import BackupPolicy
import Glibc
import Logging

/// The backups of a repository as a target has them: a folder with the keys of `RemoteKey`.
package struct TargetCopy {
  package let folder: String
  package private(set) var repositoryID = ""
  package private(set) var names: [PointID: RemoteName] = [:]

  /// - Parameter folder: of the target; it is made if it is missing.
  package init(_ folder: String) throws {
    self.folder = folder
    try SystemFileOperations().makeFolders(folder)
  }

  /// Copies all backups of a repository that are not copied yet.
  ///
  /// - Parameters:
  ///   - backups: the folder of the repository. No key is needed.
  ///   - epoch: of the writer record under which they are written.
  ///   - isWanted: whether to copy a backup.
  package mutating func copy(
    from backups: String, epoch: Int = 1, where isWanted: (PointID) -> Bool = { _ in true }
  ) throws {
    let points = try Self.points(of: backups)
    repositoryID = try points.compactMap(\.metadata.repositoryID).first ?? Self.recordedID(backups)
    let byID = Dictionary(uniqueKeysWithValues: points.map { ($0.id, $0) })
    func sequence(_ id: PointID) -> Int64 { byID[id]?.metadata.sequence.map { Int64($0) } ?? 0 }
    for point in points where isWanted(point.id) && names[point.id] == nil {
      let path = "\(backups)/\(point.name.text)"
      let files = SystemFileOperations()
      let name = RemoteName(
        chain: point.metadata.chainID.map(sequence) ?? sequence(point.id), sequence: sequence(point.id),
        parent: point.metadata.parentID.map(sequence), epoch: epoch, bytes: try files.status(path)?.size ?? 0,
        hash: try FetchedArchive.hash(at: path, files), archive: point.name)
      guard let name else { throw HoldfastError(.failed, "\(point.id) has no name in a target") }
      try put(files.contents(path) ?? [], at: name.text)
      if !point.name.encrypted, point.name.content != .pages {
        try put(files.contents("\(backups)/.metadata/\(point.id).json") ?? [], at: name.text + ".json")
      }
      names[point.id] = name
    }
  }

  /// The path of the object of a backup.
  package func path(_ id: PointID) -> String { "\(folder)/\(repositoryID)/\(names[id]?.text ?? "")" }

  /// Writes an object of the repository.
  package func put(_ bytes: [UInt8], at key: String) throws {
    let files = SystemFileOperations()
    let path = "\(folder)/\(repositoryID)/\(key)"
    try files.makeFolders(String(path.prefix(upTo: path.lastIndex(of: "/") ?? path.startIndex)))
    try files.replace(path, with: bytes, durable: false)
  }

  /// A damage of an object.
  package enum Damage: Sendable {
    /// A byte in the middle is another one.
    case flipped
    case cutOff
    case extended
    case empty
  }

  /// Damages the object of a backup.
  package func damage(_ id: PointID, _ damage: Damage = .flipped) throws {
    let files = SystemFileOperations()
    var bytes = try files.contents(path(id)) ?? []
    switch damage {
    case .flipped: bytes[bytes.count / 2] ^= 1
    case .cutOff: bytes.removeLast(bytes.count / 2)
    case .extended: bytes += [1, 2, 3]
    case .empty: bytes = []
    }
    try files.replace(path(id), with: bytes, durable: false)
  }

  /// Replaces the object of a backup by its archive in a repository.
  package func copyAgain(_ id: PointID, from backups: String) throws {
    let files = SystemFileOperations()
    let archive = try files.contents("\(backups)/\(names[id]?.archive.text ?? "")") ?? []
    try files.replace(path(id), with: archive, durable: false)
  }

  package func remove(_ id: PointID) throws { try SystemFileOperations().unlink(path(id)) }

  private static func points(of backups: String) throws -> [StoredPoint] {
    let environment = EngineEnvironment.system(
      stateFolder: "\(backups)/../reader-state",
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    return try Engine(database: nil, folder: backups, credentials: Credentials(), environment: environment)
      .list().reversed()
  }

  private static func recordedID(_ backups: String) throws -> String {
    let bytes = try SystemFileOperations().contents("\(backups)/.state/repository.json") ?? []
    guard case .object(let keys)? = JSONValue(parsing: bytes), case .string(let id)? = keys["repository_id"] else {
      return String(repeating: "0", count: 31) + "1"
    }
    return id
  }
}
