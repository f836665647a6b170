import BackupEngine
import BackupPolicy
import Glibc

/// Bytes in bulk through the C library: generic collection code is too slow for sweeps in debug
/// builds.
enum Bytes {
  static func copy(_ source: UnsafeRawBufferPointer) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: source.count) { buffer, count in
      UnsafeMutableRawBufferPointer(buffer).copyMemory(from: source)
      count = source.count
    }
  }

  static func same(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    left.count == right.count && (left.isEmpty || memcmp(left, right, left.count) == 0)
  }

  /// The whole content of an open file, read without moving its position.
  static func contents(of descriptor: Int32, _ path: String) throws -> [UInt8] {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw HoldfastError(errno: errno, "stat", path) }
    let size = Int(status.st_size)
    return try [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
      while count < size {
        let got = pread(descriptor, buffer.baseAddress! + count, size - count, off_t(count))
        if got < 0 { throw HoldfastError(errno: errno, "read", path) }
        if got == 0 { break }
        count += got
      }
    }
  }

  /// Makes `bytes` the whole content of an open file.
  static func replaceContents(of descriptor: Int32, with bytes: [UInt8], _ path: String) throws {
    guard ftruncate(descriptor, 0) == 0 else { throw HoldfastError(errno: errno, "truncate", path) }
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress! + done, bytes.count - done, off_t(done)) }
      if count < 0 { throw HoldfastError(errno: errno, "write", path) }
      done += count
    }
  }
}
