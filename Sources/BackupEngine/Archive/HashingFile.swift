import BackupPolicy

/// Writes a new file from front to back in large pieces and computes its SHA-256 meanwhile; used by
/// one thread at a time.
final class HashingFileWriter {
  private let files: any FileOperations
  private let file: OpenFile
  private let hash: SHA256
  // Owned from init to deinit; `used` bytes of it wait to be written.
  private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 4096)
  private var used = 0
  private var flushed: Int64 = 0
  private static let capacity = 1 << 18

  init(_ file: OpenFile, _ files: any FileOperations) throws {
    self.file = file
    self.files = files
    hash = try SHA256()
  }

  deinit {
    buffer.deallocate()
  }

  /// Bytes written so far.
  var size: Int64 { flushed + Int64(used) }

  func write(_ bytes: UnsafeRawBufferPointer) throws {
    var rest = bytes
    while !rest.isEmpty {
      let part = min(rest.count, Self.capacity / 2)
      try write(part) { $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: rest[..<part])) }
      rest = UnsafeRawBufferPointer(rebasing: rest[part...])
    }
  }

  func write(_ bytes: [UInt8]) throws {
    try bytes.withUnsafeBytes { try write($0) }
  }

  /// Lets `fill` produce the next `count` bytes (at most 128 KiB) in place.
  func write(_ count: Int, _ fill: (UnsafeMutableRawBufferPointer) throws -> Void) throws {
    precondition(count <= Self.capacity / 2)
    if used + count > Self.capacity { try flush() }
    try fill(UnsafeMutableRawBufferPointer(rebasing: buffer[used..<(used + count)]))
    used += count
  }

  /// Writes the rest and returns the SHA-256 of the file. The file is not synced yet.
  func finish() throws -> [UInt8] {
    try flush()
    return try hash.finish()
  }

  private func flush() throws {
    let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<used])
    try hash.update(bytes)
    try files.write(file, bytes, at: flushed)
    flushed += Int64(used)
    used = 0
  }
}

/// Reads a file from front to back and computes its SHA-256 meanwhile; used by one thread at a
/// time.
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
