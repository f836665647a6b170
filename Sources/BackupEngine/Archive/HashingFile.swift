import BackupPolicy

/// Writes a new file from front to back in large pieces, with its SHA-256 running along; used by one thread at a time.
final class HashingFileWriter {
  private let files: any FileOperations
  private let file: OpenFile
  private let hash: SHA256
  private var buffer: [UInt8] = []
  private var flushed: Int64 = 0
  private static let capacity = 1 << 18

  init(_ file: OpenFile, _ files: any FileOperations) throws {
    self.file = file
    self.files = files
    hash = try SHA256()
    buffer.reserveCapacity(Self.capacity + (1 << 17))
  }

  /// Bytes written so far.
  var size: Int64 { flushed + Int64(buffer.count) }

  func write(_ bytes: UnsafeRawBufferPointer) throws {
    buffer.append(contentsOf: bytes)
    if buffer.count >= Self.capacity { try flush() }
  }

  func write(_ bytes: [UInt8]) throws {
    try bytes.withUnsafeBytes { try write($0) }
  }

  /// Writes what is left and returns the SHA-256 of the file. The file is not synced yet.
  func finish() throws -> [UInt8] {
    try flush()
    return try hash.finish()
  }

  private func flush() throws {
    try buffer.withUnsafeBytes {
      try hash.update($0)
      try files.write(file, $0, at: flushed)
    }
    flushed += Int64(buffer.count)
    buffer.removeAll(keepingCapacity: true)
  }
}

/// Reads a file from front to back, with its SHA-256 running along; used by one thread at a time.
final class HashingFileReader {
  let size: Int64
  private let files: any FileOperations
  private let file: OpenFile
  private let hash: SHA256
  private var buffer: [UInt8]
  private var start = 0
  private var end = 0
  private(set) var position: Int64 = 0
  private var fetched: Int64 = 0

  init(_ file: OpenFile, _ files: any FileOperations) throws {
    self.file = file
    self.files = files
    size = try files.size(file)
    hash = try SHA256()
    buffer = [UInt8](repeating: 0, count: 1 << 18)
  }

  /// Fills `output` as far as the file goes; returns the count.
  func read(into output: UnsafeMutableRawBufferPointer) throws -> Int {
    var done = 0
    while done < output.count {
      if start == end, try !fetch() { break }
      let count = min(output.count - done, end - start)
      buffer.withUnsafeBytes {
        (output.baseAddress! + done).copyMemory(from: $0.baseAddress! + start, byteCount: count)
      }
      start += count
      done += count
    }
    position += Int64(done)
    return done
  }

  /// The next `count` bytes, or fewer at the end of the file.
  func read(_ count: Int) throws -> [UInt8] {
    try [UInt8](unsafeUninitializedCapacity: count) { buffer, done in
      done = try read(into: UnsafeMutableRawBufferPointer(buffer))
    }
  }

  /// Reads to the end and returns the SHA-256 of the whole file.
  func finish() throws -> [UInt8] {
    while try fetch() {}
    return try hash.finish()
  }

  private func fetch() throws -> Bool {
    end = try buffer.withUnsafeMutableBytes { try files.read(file, into: $0, at: fetched) }
    start = 0
    fetched += Int64(end)
    try buffer.withUnsafeBytes { try hash.update(UnsafeRawBufferPointer(rebasing: $0[..<end])) }
    return end > 0
  }
}
