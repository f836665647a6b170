import BackupPolicy
import SQLitePages

/// The facts that reading a whole archive has proven.
struct ReadArchive: Sendable {
  /// SHA-256 of the archive file.
  var checksum: [UInt8]
  /// Bytes of the image.
  var imageSize: Int64
  var pageSize: Int
  /// ``PageDigest`` of the image; nil if the page size could not be determined.
  var digest: [UInt8]?
  /// Whether key and authentication prove the content (`aes-256-gcm`).
  var isAuthenticated: Bool
}

/// Opens an archive of any kind and decodes it to an image, on every core if its format permits.
///
/// One thread at a time reads, hashes, authenticates and cuts; all of them decompress, hash pages
/// and write.
final class ArchiveReader {
  private let file: OpenFile
  private let files: any FileOperations
  private let reader: HashingFileReader
  private let name: ArchiveName
  private let credentials: Credentials
  private let progress: Progress
  /// The header of an `aes-256-gcm` archive.
  let head: SealedHeader?

  /// - Throws: `archiveCorrupt` if the header is damaged or belongs to another backup.
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
        .archiveCorrupt, "the file contains \(header.id): it was renamed or swapped",
        hint: "rename the file to its original name")
    }
    let kind: ArchiveHeader.Kind =
      switch name.content {
      case .database: .full
      case .pages: .incremental
      case .raw: .raw
      }
    guard header.compressed == name.compressed, header.kind == kind else {
      throw HoldfastError(.archiveCorrupt, "its header does not match its name \(name.text)")
    }
  }

  /// Reads everything and passes the image to `target` from several threads, as offset and bytes.
  ///
  /// - Parameters:
  ///   - recordedChecksum: distinguishes a wrong key from damage if the cipher itself cannot.
  ///   - limit: the largest permitted image in bytes, which stops a decompression bomb.
  ///   - pageSize: the page size of the image; if it is nil, the image's first bytes give it.
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
          hint: "use the password that was set when this backup was stored")
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

  /// Reads an incremental and passes its pages on from several threads: some of their numbers and
  /// their bytes, one after another.
  ///
  /// - Returns: SHA-256 of the archive file.
  func readPages(
    _ consume: @escaping @Sendable (ArraySlice<UInt32>, UnsafeRawBufferPointer) throws -> Void
  ) throws -> [UInt8] {
    let source = try source()
    let total = reader.size
    let payload = PagesPayload(source, compressed: name.compressed) { [progress] in
      try progress.update(.reading, source.position, of: total)
    }
    let header = try head?.header ?? payload.readPlainHead()
    try Self.check(header, name)
    guard header.kind == .incremental, let pageCount = source.trailer?.pageCount ?? header.image?.pageCount,
      header.pageSize > 0
    else { throw HoldfastError(.archiveCorrupt, "its header is not the header of an incremental") }
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
      try progress.update(.reading, source.position, of: total)
    }
    try pieces.readAll(to: assembly)
    guard assembly.isWhole else {
      throw HoldfastError(.archiveCorrupt, "a gzip member before the last one is too short")
    }
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
    else { throw HoldfastError(.archiveCorrupt, "the size of its image differs from its trailer") }
    guard trailer.digest == result.digest else { throw DigestMismatch.error }
  }
}

/// The stage of reading an archive that failed. It is the cause of the error, so that a
/// verification can name the check.
enum ArchiveStage: Error {
  case decompression
  case digest
}

/// The failure of the digest check, separate from the others so that a verification can name it.
enum DigestMismatch {
  static var error: HoldfastError {
    HoldfastError(
      .verificationFailed, "the digest of its pages differs from the recorded digest", cause: ArchiveStage.digest)
  }
}

/// The payload (image or gzip members) of an archive file, from front to back; used by one thread
/// at a time.
///
/// In an authenticated archive, every byte is authenticated before it is returned.
protocol PayloadSource: AnyObject {
  /// Fills `buffer` as far as the payload goes; returns 0 at its end.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int
  /// The authenticated trailer, known from the start; nil for archives without one.
  var trailer: ArchiveTrailer? { get }
  /// Bytes of the archive file read so far.
  var position: Int64 { get }
}

extension PayloadSource {
  /// Fills the whole buffer; returns false if the payload ends before its first byte.
  ///
  /// - Throws: `archiveCorrupt` if the payload ends within the buffer.
  func readExactly(into buffer: UnsafeMutableRawBufferPointer) throws -> Bool {
    let count = try read(into: buffer)
    if count == 0 && !buffer.isEmpty { return false }
    guard count == buffer.count else { throw HoldfastError(.archiveCorrupt, "it is cut short") }
    return true
  }
}

/// No encryption.
final class PlainSource: PayloadSource {
  private let file: HashingFileReader
  let trailer: ArchiveTrailer? = nil

  init(_ file: HashingFileReader) {
    self.file = file
  }

  var position: Int64 { file.position }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    try file.read(into: buffer)
  }
}

/// `aes-256-cbc`: salt, IV, ciphertext.
final class CBCSource: PayloadSource {
  private let file: HashingFileReader
  private let cipher: AESCBC
  private var input = [UInt8](repeating: 0, count: 1 << 17)
  private var output = [UInt8](repeating: 0, count: 1 << 17 + AESCBC.blockSize)
  private var start = 0
  private var end = 0
  private var ended = false
  let trailer: ArchiveTrailer? = nil

  init(_ file: HashingFileReader, credentials: Credentials) throws {
    self.file = file
    let salt = try file.read(16)
    let vector = try file.read(AESCBC.blockSize)
    guard vector.count == AESCBC.blockSize, file.size.isMultiple(of: 16), file.size >= 48 else {
      throw HoldfastError(.archiveCorrupt, "its size is not valid for an aes-256-cbc archive")
    }
    guard let key = try credentials.master(salt: salt, iterations: AESCBC.iterations) else {
      throw HoldfastError(
        .keyMissing, "it is encrypted with aes-256-cbc, which needs a password, but there is no password",
        hint: "set BACKUP_ENCRYPTION_PASSWORD")
    }
    cipher = try AESCBC(key: key, vector: vector, encrypts: false)
  }

  var position: Int64 { file.position }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    var done = 0
    while done < buffer.count {
      if start == end, try !decryptMore() { break }
      let count = min(buffer.count - done, end - start)
      output.withUnsafeBytes {
        (buffer.baseAddress! + done).copyMemory(from: $0.baseAddress! + start, byteCount: count)
      }
      start += count
      done += count
    }
    return done
  }

  private func decryptMore() throws -> Bool {
    while !ended {
      start = 0
      let count = try input.withUnsafeMutableBytes { try file.read(into: $0) }
      end = try output.withUnsafeMutableBytes { room in
        if count > 0 {
          return try input.withUnsafeBytes {
            try cipher.update(UnsafeRawBufferPointer(rebasing: $0[..<count]), into: room)
          }
        }
        ended = true
        guard let last = cipher.finish(into: room) else { throw UndecidedDecryption() }
        return last
      }
      if end > 0 { return true }
    }
    return false
  }
}

/// `aes-256-cbc` data did not decrypt to anything meaningful. Only the checksum can show whether
/// the key is wrong or the file is damaged: see ``ArchiveReader``.
struct UndecidedDecryption: Error {}

/// An image that does not change while it is read. Safe to read from several threads.
protocol ImageSource: Sendable {
  /// Bytes in a page; 0 for an empty database and for data that is not a database.
  var pageSize: Int { get }
  var pageCount: UInt32 { get }
  var imageSize: Int64 { get }
  /// Fills `buffer` from `offset`, a multiple of the page size, with whole pages.
  func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws
}

extension ImageSource {
  /// Writes the whole image to a file.
  ///
  /// - Parameter activity: the activity to report meanwhile.
  func copy(
    to file: OpenFile, _ files: any FileOperations, _ progress: Progress, as activity: Progress.Activity
  ) throws {
    guard imageSize > 0 else { return }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: GzipMember.chunkSize, alignment: 4096)
    defer { buffer.deallocate() }
    var offset: Int64 = 0
    while offset < imageSize {
      let count = Int(min(Int64(buffer.count), imageSize - offset))
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
      try read(at: offset, into: part)
      try files.write(file, UnsafeRawBufferPointer(part), at: offset)
      offset += Int64(count)
      try progress.update(activity, offset, of: imageSize)
    }
  }
}

extension ImageSource {
  /// The page that covers SQLite's locking bytes; it never holds data.
  var lockPage: UInt32 { PageShape.lockPage(pageSize: pageSize) }
}

enum PageShape {
  /// Number of the page at 1 GiB; 0 if the page size is unknown.
  static func lockPage(pageSize: Int) -> UInt32 {
    pageSize == 0 ? 0 : UInt32(0x4000_0000 / pageSize) + 1
  }
}

/// A live database's snapshot.
struct SnapshotSource: ImageSource {
  let snapshot: DatabaseSnapshot
  /// SQLite reports a page size for an empty database also, but no page has been written with it.
  var pageSize: Int { snapshot.geometry.pageCount == 0 ? 0 : snapshot.geometry.pageSize }
  var pageCount: UInt32 { snapshot.geometry.pageCount }
  var imageSize: Int64 { snapshot.geometry.imageSize }

  func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws {
    do {
      let first = UInt32(offset / Int64(pageSize)) + 1
      try snapshot.read(first: first, count: buffer.count / pageSize, into: buffer)
    } catch let error as DatabaseError {
      throw HoldfastError(error)
    }
  }
}

/// A raw copy. It was staged so that the lock on a database with a rollback journal lasts no longer
/// than the copy.
struct StagedSource: ImageSource {
  let file: OpenFile
  let files: any FileOperations
  let pageSize: Int
  let pageCount: UInt32
  var imageSize: Int64 { Int64(pageSize) * Int64(pageCount) }

  func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws {
    guard try files.read(file, into: buffer, at: offset) == buffer.count else {
      throw HoldfastError.truncated("the staged copy \(file.path)")
    }
  }
}
