/// A database whose write lock this process holds: nobody else can commit.
package struct LockedTarget {
  let connection: DatabaseConnection

  /// Whether readers can still open it: in WAL mode they can, beside a writer's lock of a rollback journal they cannot.
  package let allowsReaders: Bool

  private let scratchPath: String?

  /// - Parameter scratchPath: see ``DatabaseSnapshot``; nil if no state of a write-ahead log is going to be compared.
  init(connection: DatabaseConnection, scratchPath: String? = nil) {
    self.connection = connection
    self.scratchPath = scratchPath
    allowsReaders = SQLiteFile.database(of: connection.handle)?.hasWALFormat ?? false
  }

  /// Whether nothing was committed since a snapshot was taken there. A checkpoint in between may count as a commit.
  package func isUnchanged(since position: SnapshotPosition) throws -> Bool {
    guard DatabaseFiles(resolvedPath: connection.resolvedPath).database == position.database else { return false }
    guard let wal = position.wal else { return changeCounter == position.changeCounter && !allowsReaders }
    guard allowsReaders, let scratchPath else { return false }
    let observer = try DatabaseConnection(path: connection.path, access: .observer, busyTimeout: connection.busyTimeout)
    defer { observer.close() }
    let snapshot = try DatabaseSnapshot(observer, scratchPath: scratchPath)
    defer { snapshot.end() }
    guard let now = snapshot.position.wal else { return false }
    // An empty WAL says nothing: a session that opened, committed and closed leaves all of it as it was, but not the file.
    if wal.maxFrame == 0, !position.isSameFile(snapshot.position.facts) { return false }
    return now.salts == wal.salts && now.maxFrame == wal.maxFrame && now.frameChecksum == wal.frameChecksum
  }

  /// Bytes 24 to 27 of page 1, which every commit outside WAL mode moves; nil where they cannot be read.
  private var changeCounter: UInt32? {
    guard let file = SQLiteFile.database(of: connection.handle) else { return nil }
    var bytes = [UInt8](repeating: 0, count: 4)
    let result = bytes.withUnsafeMutableBytes { file.read(into: $0, at: 24) }
    // An empty file reads as zeros, which is what its snapshot's position has.
    guard result == 0 || result == SQLiteFile.shortRead else { return nil }
    return bytes.reduce(0) { $0 << 8 | UInt32($1) }
  }
}

/// The right to write, held for as long as something has to be read that nobody may change meanwhile. Nothing is written.
package final class WriteHold {
  private let connection: DatabaseConnection

  /// - Throws: `.busy` where somebody writes for longer than the wait.
  package init(path: String, busyTimeout: Int32) throws {
    connection = try DatabaseConnection(path: path, access: .writer, busyTimeout: busyTimeout)
    try connection.execute("BEGIN IMMEDIATE")
  }

  /// Lets go. Idempotent.
  package func release() { connection.close() }
}
