import BackupPolicy
import SQLitePages

/// A point as a database that nobody else can see: restored to a private file, proved on the way, open for reading.
///
/// The file is made in this host's own scratch folder (mode 0700), never in the repository, whose readers may be others. It is
/// unlinked as soon as SQLite holds it, so that its decrypted content goes when this is closed or the process ends, however it
/// ends; a run that is killed before that leaves a locked temporary name, which the next run removes.
package final class ScratchPoint {
  package let point: StoredPoint
  /// Read-only and immutable, `DEFENSIVE` and without a trusted schema; used by one thread at a time.
  package let connection: DatabaseConnection
  /// The chain that was read.
  package let chain: PointChain
  /// Bytes of the database.
  package let size: Int64
  /// The digest of its pages, 16 bytes; nil where the page size of an old archive could not be told.
  package let digest: [UInt8]?

  /// Restores a point.
  ///
  /// Every link's checksum, authentication and digest are proved while it is read. SQLite's own checks are not run.
  ///
  /// - Parameter acceptUnauthenticated: reads a point although nothing proves where it comes from.
  /// - Throws: `HoldfastError`: `noSpace` before anything is written where the scratch folder has too little room;
  ///   `archiveCorrupt` and `verificationFailed` for a damaged point; `wrongKey`, `keyMissing`, `unauthenticated`, `refused` for
  ///   a raw copy of damaged files, `databaseCorrupt` and `notADatabase` where SQLite cannot read what was stored, `interrupted`.
  package init(
    _ point: StoredPoint, in repository: Repository, progress: Progress = Progress(),
    acceptUnauthenticated: Bool = false
  ) throws {
    try Self.requireReadable(point, acceptUnauthenticated)
    let files = repository.files
    let folder = try repository.scratchFolder()
    try files.requireRoom(for: point.metadata.originalSize ?? 0, toRead: point.id.text, in: folder)
    let image = try StagedImage(
      point, in: Leftovers.make("\(folder)/.tmp-point", files, .createPrivate), repository: repository,
      progress: progress,
      verify: true, acceptUnauthenticated: acceptUnauthenticated)
    self.point = point
    chain = image.chain
    (size, digest) = (image.archive.imageSize, image.archive.digest)
    // SQLite holds no lock on an immutable file that closing our descriptor, with `image`, could drop.
    connection = try withExtendedLifetime(image) {
      try onDatabase { try DatabaseConnection(unlinking: image.path, files) }
    }
  }

  /// Closes the database, which is then gone. Idempotent.
  package func close() {
    connection.close()
  }

  private static func requireReadable(_ point: StoredPoint, _ acceptUnauthenticated: Bool) throws {
    guard point.name.content != .raw else {
      throw HoldfastError(
        .refused, "\(point.id) is a copy of damaged files as they were found, and no database to look into",
        hint: "holdfast restore \(point.id) --to PATH unpacks it")
    }
    guard point.isAuthenticated || acceptUnauthenticated else {
      throw HoldfastError(
        .unauthenticated, "\(point.id) cannot be authenticated: \(point.problems.last ?? "this host did not store it")",
        hint: "use an authenticated point, or --accept-unauthenticated where you know where this one comes from")
    }
  }
}

extension FileOperations {
  /// - Throws: `noSpace` where a scratch folder has less room than a database needs that is to be read there.
  func requireRoom(for needed: Int64, toRead what: String, in folder: String) throws {
    let free = try freeSpace(folder)
    guard free < needed else { return }
    throw HoldfastError(
      .noSpace, "reading \(what) needs \(ByteCount(needed)) in \(folder), and \(ByteCount(free)) are free",
      hint: "free some space there, or set XDG_STATE_HOME to a folder on a larger file system")
  }
}

extension DatabaseConnection {
  /// Opens a private image and unlinks it: its decrypted content goes when this process goes, however that happens.
  convenience init(unlinking path: String, _ files: any FileOperations) throws {
    try self.init(path: path, access: .readOnly)
    try files.unlink(path)
  }
}

extension BackupService {
  /// A point as a private database to read; see ``ScratchPoint``.
  package func scratch(
    _ point: StoredPoint, progress: Progress = Progress(), acceptUnauthenticated: Bool = false
  ) throws -> ScratchPoint {
    try requireKey(to: point)
    do {
      return try ScratchPoint(
        point, in: repository(), progress: progress, acceptUnauthenticated: acceptUnauthenticated)
    } catch let error as HoldfastError where ![.interrupted, .refused, .unauthenticated].contains(error.code) {
      throw error.during("read \(point.id)")
    }
  }
}
