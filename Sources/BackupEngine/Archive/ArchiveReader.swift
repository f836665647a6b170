import BackupPolicy

/// What reading a whole archive proved.
struct ReadArchive: Sendable {
  /// SHA-256 of the archive file.
  var checksum: [UInt8]
  /// Bytes of the image.
  var imageSize: Int64
  var pageSize: Int
  /// ``PageDigest`` of the image; nil where the page size could not be told.
  var digest: [UInt8]?
  /// Whether key and authentication prove the content (`aes-256-gcm`).
  var isAuthenticated: Bool
}

/// Opens an archive of any kind and turns it back into an image, on every core where its format allows.
///
/// One thread at a time reads, hashes, authenticates and cuts; all of them decompress, hash pages and write.
final class ArchiveReader {
  private let file: OpenFile
  private let files: any FileOperations
  private let reader: HashingFileReader
  private let name: ArchiveName
  private let credentials: Credentials
  private let progress: Progress
  /// The head of an `aes-256-gcm` archive.
  let head: SealedHeader?

  /// - Throws: `archiveCorrupt` where the head is damaged or belongs to another point.
  init(
    _ file: OpenFile, name: ArchiveName, credentials: Credentials, progress: Progress, _ files: any FileOperations
  ) throws {
    self.file = file
    self.files = files
    self.name = name
    self.credentials = credentials
    self.progress = progress
    reader = try HashingFileReader(file, files)
    head = name.encrypted ? try SealedHeader(file, files) : nil
    if let head { try Self.check(head.header, name) }
  }

  private static func check(_ header: ArchiveHeader, _ name: ArchiveName) throws {
    guard header.id == name.id else {
      throw HoldfastError(
        .archiveCorrupt, "the file holds point \(header.id): it was renamed or swapped",
        hint: "give the file its own name again")
    }
    let kind: ArchiveHeader.Kind =
      switch name.content {
      case .database: .full
      case .pages: .incremental
      case .raw: .raw
      }
    guard header.compressed == name.compressed, header.kind == kind else {
      throw HoldfastError(.archiveCorrupt, "its name says \(name.text) and its header says otherwise")
    }
  }

  /// Reads everything, handing the image to `target` from several threads: offset and bytes.
  ///
  /// - Parameters:
  ///   - recordedChecksum: tells a wrong key from damage where the cipher itself cannot.
  ///   - limit: the image may not be larger than this many bytes (a decompression bomb is stopped there).
  ///   - pageSize: pages of the image; nil finds it in the image's first bytes.
  func read(
    recordedChecksum: [UInt8]?, limit: Int64, pageSize: Int?, to target: some ImageTarget
  ) throws -> ReadArchive {
    do {
      return try readAll(limit: limit, pageSize: pageSize, to: target)
    } catch let error {
      guard name.encrypted, head == nil, Self.mayBeWrongKey(error) else { throw error }
      let checksum = try reader.finish()
      if checksum == recordedChecksum {
        throw HoldfastError(
          .wrongKey, "the password does not open it (its checksum is right)",
          hint: "use the password that was set when this point was stored")
      }
      throw HoldfastError(.archiveCorrupt, "it is damaged, or the password is wrong: \(Self.words(error))")
    }
  }

  private static func mayBeWrongKey(_ error: any Error) -> Bool {
    error is UndecidedDecryption || (error as? HoldfastError)?.code == .archiveCorrupt
  }

  private static func words(_ error: any Error) -> String {
    (error as? HoldfastError)?.message ?? "it does not decrypt"
  }

  private func source() throws -> any PayloadSource {
    if let head { return try GCMSource(reader, file: file, files, head: head, credentials: credentials) }
    return name.encrypted ? try CBCSource(reader, credentials: credentials) : PlainSource(reader)
  }

  /// Reads an incremental, handing its pages out from several threads: some of their numbers and their bytes, one after another.
  ///
  /// - Returns: SHA-256 of the archive file.
  func readPages(
    _ consume: @escaping @Sendable (ArraySlice<UInt32>, UnsafeRawBufferPointer) throws -> Void
  ) throws -> [UInt8] {
    let source = try source()
    let total = reader.size
    let payload = PagesPayload(source, compressed: name.compressed) { [progress] in
      try progress.update("reading", source.position, of: total)
    }
    let header = try head?.header ?? payload.readPlainHead()
    try Self.check(header, name)
    guard header.kind == .incremental, let pageCount = source.trailer?.pageCount ?? header.image?.pageCount,
      header.pageSize > 0
    else { throw HoldfastError(.archiveCorrupt, "its header is not that of an incremental") }
    let pages = try payload.readList(pageCount: pageCount, pageSize: Int(header.pageSize))
    try payload.readPages(pages, pageSize: Int(header.pageSize), consume)
    return try reader.finish()
  }

  private func readAll(limit: Int64, pageSize: Int?, to target: some ImageTarget) throws -> ReadArchive {
    let source = try source()
    let limit = source.trailer.map { Int64(clamping: $0.imageSize) } ?? limit
    let secret = try source.trailer.map { try PageDigest.Secret(key: SecretBytes($0.digestKey)) } ?? .standard
    let known = head.map { Int($0.header.pageSize) } ?? pageSize
    let assembly = ImageAssembly(target, pageSize: known, secret: secret, limit: limit)
    let total = reader.size
    let pieces = PieceReader(source, compressed: name.compressed) { [progress] in
      try progress.update("reading", source.position, of: total)
    }
    try pieces.readAll(to: assembly)
    guard assembly.isWhole else { throw HoldfastError(.archiveCorrupt, "a member in its middle is too short") }
    // Garbage that happens to be well padded: the wrong password, or damage.
    if name.encrypted && head == nil && name.content == .database && !assembly.looksLikeDatabase {
      throw UndecidedDecryption()
    }
    let result = ReadArchive(
      checksum: try reader.finish(), imageSize: assembly.imageSize, pageSize: assembly.pageSize ?? 0,
      digest: assembly.digest, isAuthenticated: source.trailer != nil)
    if let trailer = source.trailer { try check(result, trailer) }
    return result
  }

  private func check(_ result: ReadArchive, _ trailer: ArchiveTrailer) throws {
    let isSized = Int64(clamping: trailer.imageSize) == result.imageSize
    if isSized && name.content == .raw { return }
    guard isSized, Int64(trailer.pageCount) * Int64(result.pageSize) == result.imageSize
    else { throw HoldfastError(.archiveCorrupt, "its image has another size than its trailer says") }
    guard trailer.digest == result.digest else { throw DigestMismatch.error }
  }
}

/// Which part of reading an archive failed; the cause of the error, so that a verification can name the check.
enum ArchiveStage: Error {
  case decompression
  case digest
}

/// The failure of the digest check, apart from the others so that a verification can name it.
enum DigestMismatch {
  static var error: HoldfastError {
    HoldfastError(.verificationFailed, "the digest of its pages is not the recorded one", cause: ArchiveStage.digest)
  }
}
