import BackupPolicy

/// Where a payload (image or gzip members) goes on its way into an archive file; used by one thread at a time.
protocol PayloadSink: AnyObject {
  func write(_ bytes: UnsafeRawBufferPointer) throws
  /// Ends the payload; an authenticated archive adds the trailer.
  func finish(_ trailer: @autoclosure () -> ArchiveTrailer) throws
}

/// No encryption: the payload is the file.
final class PlainSink: PayloadSink {
  private let file: HashingFileWriter

  init(_ file: HashingFileWriter) {
    self.file = file
  }

  func write(_ bytes: UnsafeRawBufferPointer) throws {
    try file.write(bytes)
  }

  func finish(_: @autoclosure () -> ArchiveTrailer) throws {}
}

/// `aes-256-cbc`, the original service's format: salt, IV, ciphertext.
final class CBCSink: PayloadSink {
  private let file: HashingFileWriter
  private let cipher: AESCBC
  private var output: [UInt8] = []

  init(_ file: HashingFileWriter, credentials: Credentials) throws {
    self.file = file
    let salt = try SecretBytes.random(16)
    let vector = try SecretBytes.random(AESCBC.blockSize)
    guard let key = try credentials.master(salt: salt, iterations: AESCBC.iterations) else {
      throw HoldfastError(
        .keyMissing, "aes-256-cbc needs a password, and none is given",
        hint: "set BACKUP_ENCRYPTION_PASSWORD, or leave --cipher away")
    }
    cipher = try AESCBC(key: key, vector: vector, encrypts: true)
    try file.write(salt + vector)
  }

  func write(_ bytes: UnsafeRawBufferPointer) throws {
    if output.count < bytes.count + AESCBC.blockSize {
      output = [UInt8](repeating: 0, count: bytes.count + AESCBC.blockSize)
    }
    try output.withUnsafeMutableBytes { room in
      let count = try cipher.update(bytes, into: room)
      try file.write(UnsafeRawBufferPointer(rebasing: room[..<count]))
    }
  }

  func finish(_: @autoclosure () -> ArchiveTrailer) throws {
    var last = [UInt8](repeating: 0, count: AESCBC.blockSize)
    guard let count = last.withUnsafeMutableBytes({ cipher.finish(into: $0) }) else {
      throw cryptoFailure("AES-256-CBC padding")
    }
    try file.write(Array(last.prefix(count)))
  }
}

/// `aes-256-gcm`: 64 KiB segments in the STREAM construction, then the trailer.
final class GCMSink: PayloadSink {
  private let file: HashingFileWriter
  private let cipher: AESGCM
  private var counter: UInt64 = 0
  private var pending: [UInt8] = []

  init(_ file: HashingFileWriter, payloadKey: SecretBytes) throws {
    self.file = file
    cipher = try AESGCM(key: payloadKey, encrypts: true)
    pending.reserveCapacity(ArchiveHeader.segmentSize)
  }

  func write(_ bytes: UnsafeRawBufferPointer) throws {
    var rest = bytes
    if !pending.isEmpty {
      let count = min(rest.count, ArchiveHeader.segmentSize - pending.count)
      pending.append(contentsOf: rest[..<count])
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
      if pending.count == ArchiveHeader.segmentSize {
        try pending.withUnsafeBytes { try seal($0) }
        pending.removeAll(keepingCapacity: true)
      }
    }
    while rest.count >= ArchiveHeader.segmentSize {
      try seal(UnsafeRawBufferPointer(rebasing: rest[..<ArchiveHeader.segmentSize]))
      rest = UnsafeRawBufferPointer(rebasing: rest[ArchiveHeader.segmentSize...])
    }
    pending.append(contentsOf: rest)
  }

  func finish(_ trailer: @autoclosure () -> ArchiveTrailer) throws {
    if !pending.isEmpty { try pending.withUnsafeBytes { try seal($0) } }
    let plain = trailer().encoded()
    var length = ByteWriter()
    length.integer(UInt32(plain.count + AESGCM.tagSize))
    try plain.withUnsafeBytes { try seal($0, last: true, associated: length.bytes) }
    try file.write(length.bytes)
  }

  private func seal(_ plain: UnsafeRawBufferPointer, last: Bool = false, associated: [UInt8] = []) throws {
    let nonce = SegmentNonce.bytes(counter, last: last)
    try file.write(plain.count + AESGCM.tagSize) { output in
      try cipher.seal(plain, nonce: nonce, associated: associated, into: output)
    }
    counter += 1
  }
}

/// The nonce of a segment: its number in 11 bytes, then 1 for the last segment and 0 for any other.
///
/// Source: the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015), laid out as age does. The payload key is
/// used for one file only, so a counter is a safe nonce.
enum SegmentNonce {
  static func bytes(_ counter: UInt64, last: Bool) -> [UInt8] {
    var writer = ByteWriter()
    writer.raw([0, 0, 0])
    writer.integer(counter)
    writer.raw([last ? 1 : 0])
    return writer.bytes
  }
}
