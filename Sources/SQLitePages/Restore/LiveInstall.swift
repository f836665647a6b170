import CSQLite

/// Puts a checked image's content into a database that applications may have open.
package enum LiveInstall {
  /// What a page-for-page comparison after the commit found.
  package enum Outcome: Hashable, Sendable {
    case proven
    /// Somebody committed in the meantime, so the comparison says nothing.
    case changedSince
    /// Nobody committed, and yet this page is not the image's.
    case differs(page: UInt32)
  }

  /// Copies `image` into the database at `path` in one flushed transaction: applications keep their connections, and
  /// see the new content with their next transaction. Then compares the two.
  ///
  /// - Parameters:
  ///   - image: a private file with the target's page size, text encoding and journal-version bytes.
  ///   - busyTimeout: milliseconds to wait for transactions of others.
  ///   - whenLocked: called once nobody else can commit and before a page is written; what it throws ends the install.
  ///   - progress: gets pages copied and pages in all; what it throws ends the install, until the last page is committed.
  /// - Throws: ``DatabaseError``; `.busy` if a transaction of another outlasted the wait. The database is then as it was.
  package static func run(
    image: String, into path: String, busyTimeout: Int32, whenLocked: (LockedTarget) throws -> Void = { _ in },
    progress: (Int, Int) throws -> Void = { _, _ in }
  ) throws -> Outcome {
    let source = try DatabaseConnection(path: image, access: .readOnly, busyTimeout: busyTimeout)
    let target = try DatabaseConnection(path: path, access: .writer, busyTimeout: busyTimeout)
    try requireMatch(source, target)
    // `data_version` changes when somebody else commits, never by this connection's own commits.
    let before = try target.integer("PRAGMA data_version")
    var copy = try PageCopy(from: source, into: target)
    try copy.run(
      patience: Int(busyTimeout),
      whenLocked: { try whenLocked(LockedTarget(connection: target, scratchPath: image + ".scratch-live")) },
      progress: progress)
    // The content is installed: a comparison that cannot be made is no failure of it.
    return (try? compare(source, target, dataVersion: before)) ?? .changedSince
  }

  private static func compare(
    _ image: DatabaseConnection, _ live: DatabaseConnection, dataVersion: Int64?
  ) throws -> Outcome {
    let left = try DatabaseSnapshot(image, scratchPath: image.path + ".scratch-image")
    defer { left.end() }
    let right = try DatabaseSnapshot(live, scratchPath: image.path + ".scratch-live")
    defer { right.end() }
    let difference = try ImageComparison(left, right).firstDifference()
    guard let difference else { return .proven }
    return try live.integer("PRAGMA data_version") == dataVersion ? .differs(page: difference) : .changedSince
  }

  /// Bytes 18 and 19 of page 1 that an image must carry to be installed at `path`: with others it would switch the
  /// running applications' journal mode.
  package static func journalVersionBytes(of path: String, busyTimeout: Int32 = 5000) throws -> (UInt8, UInt8) {
    let connection = try DatabaseConnection(path: path, access: .observer, busyTimeout: busyTimeout)
    return try journalVersionBytes(connection)
  }

  private static func journalVersionBytes(_ connection: DatabaseConnection) throws -> (UInt8, UInt8) {
    try connection.journalMode() == "wal" ? (2, 2) : (1, 1)
  }

  /// SQLite would accept some mismatches, and the applications that have the file open would then fail or misread.
  private static func requireMatch(_ source: DatabaseConnection, _ target: DatabaseConnection) throws {
    for pragma in ["page_size", "encoding"] {
      let (wanted, found) = (try target.text("PRAGMA \(pragma)"), try source.text("PRAGMA \(pragma)"))
      guard wanted == found else {
        throw mismatch(target, "its \(pragma) is \(wanted ?? "unknown"), the image's \(found ?? "unknown")")
      }
    }
    let (wanted, found) = (try journalVersionBytes(target), try journalVersionBytes(source))
    guard wanted == found else {
      throw mismatch(target, "its journal-version bytes are \(wanted), the image's \(found)")
    }
  }

  private static func mismatch(_ target: DatabaseConnection, _ reason: String) -> DatabaseError {
    DatabaseError(.other, path: target.path, message: "cannot restore into the open database \(target.path): \(reason)")
  }
}
