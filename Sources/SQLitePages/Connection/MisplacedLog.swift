import Glibc
import Names

/// A process that has a database open and works with another write-ahead log, or another index of
/// it, than those beside the database: they were deleted or moved while it ran, or it opened the
/// file under another name. Programs that open the database under this name do not see its commits,
/// and two indexes let a checkpoint write pages that a reader still needs.
struct MisplacedLog: Hashable {
  enum Place: Hashable {
    /// Deleted or moved: the log, or only its index.
    case away(isIndex: Bool)
    /// The process opened the database under this name.
    case beside(name: String)
  }

  var process: OtherProcess
  var place: Place

  /// - Parameter path: the database's, links resolved.
  static func find(of path: String) -> [MisplacedLog] {
    guard let database = FileFacts(path: path)?.identity else { return [] }
    var places: [Int32: Place] = [:]
    let processes = OtherProcess.lasting { only in
      var open: Set<Int32> = []
      let doubt = ProcessFiles.visit(only: only) { if $0.identity == database { open.insert($0.process) } }
      places = [:]
      for process in open { places[process] = OpenLogs.place(in: process, database, path) }
      return (Set(places.keys), doubt)
    }.processes
    return processes.compactMap { process in places[process.id].map { MisplacedLog(process: process, place: $0) } }
  }

  func error(_ location: DatabaseLocation) -> DatabaseError {
    switch place {
    case .away(let isIndex):
      let file = location.resolved + (isIndex ? "-shm" : "-wal")
      let reason =
        isIndex
        ? "its checkpoints and the reads of others no longer wait for each other"
        : "other programs do not see its commits"
      return DatabaseError(
        .logDeleted(process), path: location.given,
        message:
          "cannot use \(location.given): \(file) was deleted or moved while \(process) has it open; \(reason)")
    case .beside(let name):
      return DatabaseError(
        .logElsewhere(process, name: name), path: location.given,
        message:
          "cannot use \(location.given): \(process) has it open as \(name), with a write-ahead log of that name; "
          + "programs that open it as \(location.resolved) do not see its commits")
    }
  }
}

/// The logs and indexes that one process has open, compared with those beside a database that it
/// also has open.
private struct OpenLogs {
  /// A file and the path under which it was opened, without the kernel's ` (deleted)`.
  private struct File {
    var identity: FileIdentity
    var path: [UInt8]
    var isDeleted: Bool
    var isWritable: Bool
  }

  private let files: [File]
  /// The names under which the process has the database open.
  private let names: Set<[UInt8]>
  /// The names of everything else that it has open.
  private let others: Set<[UInt8]>

  /// Returns nil if the process works with the files beside the database, or without such files, or
  /// only reads.
  ///
  /// The result counts only if those files stay the same meanwhile: an application may open and
  /// close the database all the time.
  static func place(in process: Int32, _ database: FileIdentity, _ path: String) -> MisplacedLog.Place? {
    for _ in 0..<3 {
      let present = DatabaseFiles(resolvedPath: path)
      let logs = OpenLogs(process, database)
      if DatabaseFiles(resolvedPath: path) == present { return logs.place(present, path.pathBytes) }
    }
    return nil
  }

  private init(_ process: Int32, _ database: FileIdentity) {
    var files: [File] = []
    ProcessFiles.visit(process) { entry in
      let path = entry.path()
      let isDeleted = Self.ends(path, with: Self.mark)
      files.append(
        File(
          identity: entry.identity, path: isDeleted ? path.dropLast(Self.mark.count) : path, isDeleted: isDeleted,
          isWritable: entry.isWritable()))
    }
    self.files = files
    names = Set(files.filter { $0.identity == database }.map(\.path))
    others = Set(files.filter { $0.identity != database }.map(\.path))
  }

  private static let mark = Array(" (deleted)".utf8)

  private static func ends(_ path: [UInt8], with ending: [UInt8]) -> Bool {
    path.reversed().starts(with: ending.reversed())
  }

  /// A program that has forked keeps its parent's open files, so it is not blamed for another file
  /// if it also has the present one open.
  private func place(_ present: DatabaseFiles, _ path: [UInt8]) -> MisplacedLog.Place? {
    func has(_ file: FileIdentity?) -> Bool { file != nil && files.contains { $0.identity == file } }
    if !has(present.wal) {
      if let place = other("-wal", path) { return place }
      // SQLite opens a log before its index, so there is a log, whatever its name is now.
      if has(present.sharedMemory) { return .away(isIndex: false) }
    }
    return has(present.sharedMemory) ? nil : other("-shm", path)
  }

  /// The location of another file with this ending, if it can belong to our database. Other
  /// databases of the same process also have logs; those databases are open themselves. If a log's
  /// database is not open, the log was moved away from ours.
  private func other(_ ending: String, _ path: [UInt8]) -> MisplacedLog.Place? {
    let candidates = files.compactMap { file -> (file: File, base: [UInt8])? in
      guard file.isWritable, Self.ends(file.path, with: Array(ending.utf8)) else { return nil }
      return (file, file.path.dropLast(ending.utf8.count))
    }
    let ours = candidates.first { names.contains($0.base) }
    guard let found = ours ?? candidates.first(where: { !others.contains($0.base) }) else { return nil }
    if ours == nil || found.file.isDeleted || found.base == path { return .away(isIndex: ending == "-shm") }
    return .beside(name: found.base.withUnsafeBytes { String(pathBytes: $0) })
  }
}
