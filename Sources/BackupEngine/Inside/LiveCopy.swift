import BackupPolicy
import Glibc
import SQLitePages

/// What the live database holds now, as a private file that is read at leisure: the application waits no longer than the copy
/// takes, and its log is not kept from being reset.
struct LiveCopy {
  let connection: DatabaseConnection

  init(of database: String, in repository: Repository, _ environment: EngineEnvironment, _ progress: Progress) throws {
    let files = environment.files
    let folder = try repository.scratchFolder()
    let live = try onDatabase {
      try DatabaseConnection(path: database, access: .observer, busyTimeout: environment.busyTimeout)
    }
    defer { environment.close(live) }
    let snapshot = try onDatabase {
      try DatabaseSnapshot(
        live, scratchPath: "\(folder)/.tmp-copy-\(getpid())", patience: Int(environment.busyTimeout))
    }
    defer { snapshot.end() }
    let source = SnapshotSource(snapshot: snapshot)
    let free = try files.freeSpace(folder)
    guard free >= source.imageSize else {
      throw HoldfastError(
        .noSpace,
        "reading \(database) needs \(ByteCount(source.imageSize)) in \(folder), and \(ByteCount(free)) are free",
        hint: "free some space there, or set XDG_STATE_HOME to a folder on a larger file system")
    }
    connection = try Leftovers.withFile("\(folder)/.tmp-copy", files) { file in
      try Self.copy(source, to: file, files, progress)
      return try onDatabase { try DatabaseConnection(unlinking: file.path, files) }
    }
  }

  private static func copy(
    _ source: SnapshotSource, to file: OpenFile, _ files: any FileOperations, _ progress: Progress
  ) throws {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: GzipMember.chunkSize, alignment: 4096)
    defer { buffer.deallocate() }
    var offset: Int64 = 0
    while offset < source.imageSize {
      let count = Int(min(Int64(buffer.count), source.imageSize - offset))
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
      try source.read(at: offset, into: part)
      try files.write(file, UnsafeRawBufferPointer(part), at: offset)
      offset += Int64(count)
      try progress.update("reading", offset, of: source.imageSize)
    }
  }
}
