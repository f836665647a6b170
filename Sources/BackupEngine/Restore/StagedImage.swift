import BackupPolicy
import Glibc
import SQLitePages

/// A backup's image in a private file beside the target, checked against the archive's digest.
final class StagedImage {
  let path: String
  let archive: ReadArchive
  let chain: PointChain
  private let file: OpenFile
  private let files: any FileOperations
  private var isOurs = true
  private var isOpen = true

  /// Stages a backup beside its target, so that it can replace the target in one rename.
  ///
  /// - Parameter verify: compares the archive's checksum with the recorded one.
  /// - Throws: `archiveCorrupt` or `verificationFailed` if the archive fails a check; the file is
  ///   removed.
  convenience init(
    _ point: StoredPoint, beside target: String, repository: Repository, environment: EngineEnvironment,
    progress: Progress, verify: Bool, acceptUnauthenticated: Bool = false
  ) throws {
    let prefix = Leftovers.prefix(beside: target)
    try Leftovers.remove(in: target.parentPath, beginning: prefix, environment.files)
    try self.init(
      point, in: Leftovers.make("\(target.parentPath)/\(prefix)", environment.files, .createPrivate),
      repository: repository,
      progress: progress, verify: verify, acceptUnauthenticated: acceptUnauthenticated)
  }

  /// Stages a backup in a new file of ours, which is closed and removed with this object.
  init(
    _ point: StoredPoint, in staging: OpenFile, repository: Repository, progress: Progress, verify: Bool,
    acceptUnauthenticated: Bool
  ) throws {
    let files = repository.files
    self.files = files
    file = staging
    path = staging.path
    do {
      (chain, archive) = try repository.reading(point) { point in
        let chain = try repository.chain(of: point)
        let reader = ChainReader(
          open: try OpenChain(chain, in: repository, progress: progress), files: files,
          credentials: repository.credentials, progress: progress)
        let read = try reader.read(to: FileTarget(file: staging, files: files))
        if verify { try Self.compare(read.archive, read.links) }
        if !acceptUnauthenticated { for link in read.links { try Self.requireTrust(link, repository) } }
        return (chain, read.archive)
      }
    } catch {
      try? files.unlink(path)
      files.close(staging)
      throw (error as? ChainFailure)?.error(for: point.id) ?? error
    }
  }

  deinit {
    if isOurs { try? files.unlink(path) }
    close()
  }

  /// No descriptor of ours may stay on the file once it is a database: closing it later would drop
  /// SQLite's locks.
  private func close() {
    guard isOpen else { return }
    isOpen = false
    files.close(file)
  }

  private static func compare(_ archive: ReadArchive, _ links: [ChainReader.Link]) throws {
    // An authenticated archive needs no other evidence: anybody who can write the folder can change
    // the metadata.
    for link in links where !link.isAuthenticated {
      guard let recorded = link.point.metadata.checksum, link.checksum.hex != recorded else { continue }
      throw HoldfastError(
        .archiveCorrupt, "the checksum of \(link.point.name.text) differs from the recorded one",
        hint: "use another backup")
    }
    if !archive.isAuthenticated, let recorded = links[0].point.metadata.digest, let digest = archive.digest,
      digest.hex != recorded
    {
      throw DigestMismatch.error
    }
  }

  /// In a sealed repository, bytes without authentication are trusted only by their checksum. Their
  /// metadata does not count.
  private static func requireTrust(_ link: ChainReader.Link, _ repository: Repository) throws {
    guard try !link.isAuthenticated && !repository.trust().accepts(link.point.id, checksum: link.checksum.hex) else {
      return
    }
    throw HoldfastError(
      .unauthenticated, "\(link.point.name.text) is not the file that this host stored, and cannot be authenticated",
      hint: "use an authenticated backup, or --accept-unauthenticated if you know the origin of this one")
  }

  /// Returns the facts in the image's own header.
  func facts() throws -> StagedFacts {
    guard archive.imageSize > 0 else { return StagedFacts(pageSize: 0, pageCount: 0, textEncoding: nil) }
    do {
      let connection = try DatabaseConnection(path: path, access: .readOnly)
      defer { connection.close() }
      let facts = try TargetInspector.databaseFacts(connection)
      return StagedFacts(pageSize: facts.pageSize, pageCount: facts.pageCount, textEncoding: facts.textEncoding)
    } catch let error as DatabaseError {
      throw HoldfastError(
        .verificationFailed, "the archive's content does not open as a database: \(error.message)",
        hint: "use another backup")
    }
  }

  /// SQLite's integrity check of the image, whose digest is proven already.
  func checkIntegrity(_ kind: IntegrityCheck.Kind) throws -> IntegrityCheck.Outcome {
    try onDatabase {
      let connection = try DatabaseConnection(path: path, access: .readOnly)
      defer { connection.close() }
      return try IntegrityCheck.run(kind, on: connection)
    }
  }

  /// The bytes of page 1 that installing it may change; nil for an empty image.
  func rewrittenBytes() throws -> [UInt8]? {
    guard archive.imageSize > 0 else { return nil }
    var head = [UInt8](repeating: 0, count: 100)
    _ = try head.withUnsafeMutableBytes { try files.read(file, into: $0, at: 0) }
    return LiveInstall.rewrittenBytes.joined().map { head[$0] }
  }

  /// Gives the image the journal-version bytes (18 and 19 of page 1) of the target database.
  /// Otherwise SQLite would switch the journal mode of the running applications.
  func setJournalVersion(_ version: (UInt8, UInt8)) throws {
    try [version.0, version.1].withUnsafeBytes { try files.write(file, $0, at: 18) }
  }

  /// Gives the image the attributes that the target is to have.
  ///
  /// - Parameter old: the file that it replaces, whose access control list and extended attributes
  ///   it gets.
  /// - Returns: messages about attributes that could not be set.
  func setAttributes(_ wanted: FileAttributes, from old: String?) throws -> [String] {
    var warnings: [String] = []
    let given = try files.setAttributes(file, wanted)
    if given.owner != wanted.owner || given.group != wanted.group {
      warnings.append(
        "the restored file belongs to \(given.ownerInWords) and not to \(wanted.ownerInWords): this process may not change the owner"
      )
    }
    // In this order, because an access control list sets the group's bits of the mode. Until then
    // the group has its own rights only.
    let refused = try old.map { try files.copyExtendedAttributes(of: $0, to: file) } ?? []
    if !refused.isEmpty {
      warnings.append("the restored file lacks attributes that the old one had: \(refused.joined(separator: ", "))")
    }
    return warnings
  }

  /// Flushes and closes the image, which makes it fit to replace the target.
  func sync() throws {
    try files.sync(file)
    close()
  }

  /// The image has become the target, so it is no longer removed.
  func release() {
    isOurs = false
  }
}
