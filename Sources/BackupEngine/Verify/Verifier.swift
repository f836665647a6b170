import BackupPolicy
import Glibc
import SQLitePages

/// Verifies a backup: its file exists and is unchanged, it opens, and its content is a sound
/// database.
struct Verifier {
  let repository: Repository
  let environment: EngineEnvironment
  let progress: Progress
  /// Runs SQLite's checks even if the same digest passed them before.
  var recheck = false
  /// Leaves out the checksum because the caller reads the whole file right afterwards.
  var skipsChecksum = false

  private var files: any FileOperations { environment.files }

  /// Runs the checks; nothing is recorded.
  ///
  /// - Throws: `wrongKey`, `keyMissing`, `interrupted` and failures of the machine. The checks
  ///   report defects of the backup.
  func verify(_ point: StoredPoint, _ depth: VerificationDepth) throws -> Verification {
    try repository.reading(point, isGood: \.verified) { try verifyOnce($0, depth) }
  }

  private func verifyOnce(_ point: StoredPoint, _ depth: VerificationDepth) throws -> Verification {
    var verification = Verification(id: point.id, depth: depth, checks: [], date: environment.now())
    verification.notes = point.ownProblems
    guard let file = try open(point, &verification) else { return verification }
    defer { files.close(file) }
    try checkSize(point, file, &verification)
    guard point.isAuthenticated else {
      verification.add(.failed, Check.Name.authentication, point.problems.last)
      return verification
    }
    guard let chain = try chain(of: point, &verification) else {
      try checkChecksum(point, file, &verification)
      return verification
    }
    switch depth {
    case .quick:
      if point.isIncremental { verification.add(.passed, Check.Name.chain, chain.words) }
      if !skipsChecksum { try checkChecksum(point, file, &verification) }
    case .full: try checkContent(point, file, chain, &verification)
    }
    return verification
  }

  private func open(_ point: StoredPoint, _ verification: inout Verification) throws -> OpenFile? {
    guard !point.archiveMissing, try files.status(repository.path(point.name.text)) != nil else {
      if try repository.stored(point.id) == nil {
        throw HoldfastError.removed(point.id)
      }
      verification.add(.failed, Check.Name.file, "\(point.name.text) is missing")
      return nil
    }
    let file = try repository.shared(progress: progress) {
      try files.open(repository.path(point.name.text), .readNoFollow)
    }
    verification.add(.passed, Check.Name.file)
    return file
  }

  private func checkSize(_ point: StoredPoint, _ file: OpenFile, _ verification: inout Verification) throws {
    let size = try files.size(file)
    let recorded = point.metadata.compressedSize
    // The original service also recorded sizes; only metadata that was recreated has no size.
    guard recorded > 0, size != recorded else { return verification.add(.passed, Check.Name.size) }
    verification.add(.failed, Check.Name.size, "the file has \(size) bytes, but \(recorded) bytes are recorded")
  }

  private func checkChecksum(_ point: StoredPoint, _ file: OpenFile, _ verification: inout Verification) throws {
    compare(try HashingFileReader(file, files).finish(), point, &verification)
  }

  private func compare(_ checksum: [UInt8], _ point: StoredPoint, _ verification: inout Verification) {
    guard let recorded = point.metadata.checksum else {
      return verification.add(.skipped, Check.Name.checksum, "no checksum is recorded")
    }
    guard checksum.hex != recorded else { return verification.add(.passed, Check.Name.checksum) }
    verification.add(.failed, Check.Name.checksum, "the checksum is \(checksum.hex), but \(recorded) is recorded")
  }

  /// The metadata is not encrypted: if the archive authenticates itself, a different checksum in
  /// the metadata is only worth a note.
  private func compare(_ archive: ReadArchive, _ point: StoredPoint, _ verification: inout Verification) {
    guard archive.isAuthenticated, let recorded = point.metadata.checksum, recorded != archive.checksum.hex else {
      return compare(archive.checksum, point, &verification)
    }
    verification.notes.append(
      "the checksum in the metadata differs from the archive's, which is authenticated and takes precedence")
  }

  /// The backup with all that it needs; nil, with the failed check, if a link is missing or
  /// damaged.
  private func chain(of point: StoredPoint, _ verification: inout Verification) throws -> PointChain? {
    do {
      return try repository.chain(of: point)
    } catch let error as HoldfastError {
      guard let broken = error.cause as? BrokenLink else { throw error }
      verification.brokenLink = broken.id
      verification.add(.failed, Check.Name.chain, "\(broken.id), which it depends on, is not usable: \(broken.reason)")
      return nil
    }
  }

  private func checkContent(
    _ point: StoredPoint, _ file: OpenFile, _ chain: PointChain, _ verification: inout Verification
  ) throws {
    let memo = CheckMemo(repository: repository)
    let known = point.metadata.digest.flatMap { [UInt8](hex: $0) }
    let proven = !recheck && (known.map { memo.passed($0, chain) } ?? false)
    if proven || point.name.content == .raw {
      let archive = try read(point, file, chain, NoTarget(), &verification)
      if proven, let archive, archive.digest != known {
        // The metadata contained the digest of a different content, so this content has not been
        // checked.
        var honest = point
        honest.metadata.digest = archive.digest?.hex
        verification.checks.removeAll { $0.name != Check.Name.file && $0.name != Check.Name.size }
        return try checkContent(honest, file, chain, &verification)
      }
      let why = proven ? "passed before for the same content" : "a raw copy of a damaged database"
      if verification.verified { verification.add(proven ? .passed : .skipped, Check.Name.integrity, why) }
      verification.checkedContent = proven && verification.verified
      return
    }
    try checkImage(point, file, chain, memo, &verification)
  }

  private func checkImage(
    _ point: StoredPoint, _ file: OpenFile, _ chain: PointChain, _ memo: CheckMemo, _ verification: inout Verification
  ) throws {
    try repository.scratch().withFile(.verify) { staging in
      let target = FileTarget(file: staging, files: files)
      guard let archive = try read(point, file, chain, target, &verification) else { return }
      try DatabaseChecks(environment: environment, memo: memo, kind: memo.kind(for: chain))
        .run(staging.path, digest: archive.digest, &verification)
    }
  }

  /// Reads the whole chain; returns nil, with the failed check named, if a link is not as expected.
  private func read(
    _ point: StoredPoint, _ file: OpenFile, _ chain: PointChain, _ target: some ImageTarget,
    _ verification: inout Verification
  ) throws -> ReadArchive? {
    do {
      let (archive, links) = try ChainReader(
        open: OpenChain(chain, in: repository, progress: progress), files: files, credentials: repository.credentials,
        progress: progress
      ).read(to: target)
      compare(archive, point, &verification)
      if point.name.encrypted { verification.add(.passed, Check.Name.decryption) }
      if point.name.compressed { verification.add(.passed, Check.Name.decompression) }
      checkLinks(links, chain, &verification)
      return checkDigest(archive, point, &verification) ? archive : nil
    } catch let failure as ChainFailure {
      try checkChecksum(point, file, &verification)
      if failure.link == point.id {
        verification.add(.failed, Self.check(for: failure.error, point), failure.error.message)
      } else {
        verification.brokenLink = failure.link
        verification.add(.failed, Check.Name.chain, failure.error(for: point.id).message)
      }
      return nil
    }
  }

  private func checkLinks(_ links: [ChainReader.Link], _ chain: PointChain, _ verification: inout Verification) {
    guard links.count > 1 else { return }
    let changed = links.dropFirst().first { link in
      !link.isAuthenticated && link.point.metadata.checksum.map { $0 != link.checksum.hex } ?? false
    }
    if let changed {
      verification.brokenLink = changed.point.id
      verification.add(.failed, Check.Name.chain, "the checksum of \(changed.point.id) differs from the recorded one")
    } else {
      verification.add(.passed, Check.Name.chain, chain.words)
    }
  }

  private func checkDigest(_ archive: ReadArchive, _ point: StoredPoint, _ verification: inout Verification) -> Bool {
    guard let recorded = point.metadata.digest, let digest = archive.digest else { return true }
    guard recorded != digest.hex else {
      verification.add(.passed, Check.Name.digest)
      return true
    }
    if archive.isAuthenticated {
      verification.notes.append(
        "the digest in the metadata differs from the archive's, which is authenticated and takes precedence")
      return true
    }
    verification.add(.failed, Check.Name.digest, "the digest is \(digest.hex), but \(recorded) is recorded")
    return false
  }

  private static func check(for error: HoldfastError, _ point: StoredPoint) -> String {
    switch error.cause as? ArchiveStage {
    case .decompression: point.name.compressed ? Check.Name.decompression : Check.Name.digest
    case .digest: Check.Name.digest
    case nil: point.name.encrypted ? Check.Name.decryption : Check.Name.decompression
    }
  }
}

extension Verification {
  mutating func add(_ outcome: Check.Outcome, _ name: String, _ detail: String? = nil) {
    checks.append(Check(name: name, outcome: outcome, detail: detail))
  }
}

/// Reads a stored backup's image within the bounds from its metadata.
struct PointReader {
  let point: StoredPoint
  let files: any FileOperations
  let credentials: Credentials
  let progress: Progress

  /// The largest ratio of an image to its archive if no size is recorded: deflate cannot compress
  /// more.
  private static let largestRatio: Int64 = 1040

  func read(_ file: OpenFile, to target: some ImageTarget) throws -> ReadArchive {
    let metadata = point.metadata
    let reader = try ArchiveReader(file, name: point.name, credentials: credentials, progress: progress, files)
    if reader.head == nil && point.name.encrypted && metadata.cipher == .aes256GCM {
      var error = HoldfastError.notAnArchive
      error.hint = "use another backup"
      throw error
    }
    let size = try files.size(file)
    return try reader.read(
      recordedChecksum: metadata.checksum.flatMap { [UInt8](hex: $0) },
      limit: min(metadata.originalSize ?? .max, size.multipliedClamped(by: Self.largestRatio)),
      pageSize: metadata.pageSize,
      to: target)
  }
}
