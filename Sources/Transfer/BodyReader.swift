import CShims
import Glibc

/// The body of a request as libcurl reads it. Belongs to the loop's thread.
struct BodyReader {
  private let body: HTTPBody
  let length: Int64
  private(set) var position: Int64 = 0

  init(_ body: HTTPBody) {
    self.body = body
    length =
      switch body {
      case .empty: 0
      case .bytes(let bytes): Int64(bytes.count)
      case .file(_, _, let length): length
      }
  }

  var remaining: Int64 { length - position }

  /// Fills the buffer as far as possible and returns the number of bytes. The buffer is not longer
  /// than ``remaining``.
  mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws(TransferError) -> Int {
    let count: Int
    switch body {
    case .empty: count = 0
    case .bytes(let bytes):
      count = buffer.count
      bytes.withUnsafeBytes {
        buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[Int(position)...].prefix(count)))
      }
    case .file(let descriptor, let offset, _):
      count = try Self.read(descriptor, into: buffer, at: offset + position)
    }
    position += Int64(count)
    return count
  }

  /// Moves to a position from which libcurl sends the body again.
  mutating func seek(to position: Int64) -> Bool {
    guard (0...length).contains(position) else { return false }
    self.position = position
    return true
  }

  private static func read(
    _ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer, at offset: Int64
  ) throws(TransferError) -> Int {
    var count: Int
    repeat {
      count = pread(descriptor, buffer.baseAddress, buffer.count, off_t(offset))
    } while count < 0 && errno == EINTR
    guard count >= 0 else { throw .localFile(errno, "cannot read the file to send") }
    guard count > 0 || buffer.isEmpty else {
      throw TransferError(.localFile(errno: EIO), "the file to send ended too early: another program made it shorter")
    }
    return count
  }
}

extension TransferError {
  /// A failed operation on the caller's file.
  static func localFile(_ code: Int32, _ what: String) -> TransferError {
    TransferError(.localFile(errno: code), "\(what): \(reason(of: code))")
  }

  /// The system's words for an error number, such as `connection refused`.
  static func reason(of code: Int32) -> String {
    var text = [CChar](repeating: 0, count: 128)
    cshims_error_message(code, &text, text.count)
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self).lowercased()
  }
}
