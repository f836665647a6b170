import BackupPolicy

/// The payload (image or gzip members) of an archive file, from front to back; used by one thread at a time.
///
/// Every byte that comes out of an authenticated archive has been authenticated before.
protocol PayloadSource: AnyObject {
  /// Fills `buffer` as far as the payload goes; 0 at its end.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int
  /// The authenticated trailer, known from the start; nil for archives without one.
  var trailer: ArchiveTrailer? { get }
  /// Bytes of the archive file read so far.
  var position: Int64 { get }
}

extension PayloadSource {
  /// Fills the whole buffer, or returns false where the payload ends before its first byte.
  ///
  /// - Throws: `archiveCorrupt` where it ends in between.
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
      throw HoldfastError(.archiveCorrupt, "its size is not that of an aes-256-cbc archive")
    }
    guard let key = try credentials.master(salt: salt, iterations: AESCBC.iterations) else {
      throw HoldfastError(
        .keyMissing, "it is encrypted with aes-256-cbc, which needs a password, and none is given",
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

/// `aes-256-cbc` did not decrypt to anything sensible. Whether the key is wrong or the file damaged, only the checksum can
/// tell: see ``ArchiveReader``.
struct UndecidedDecryption: Error {}
