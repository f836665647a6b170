import BackupEngine
import BackupPolicy
import Glibc

/// Reads a stream of HTTP messages from a socket.
final class SocketReader {
  private let socket: Int32
  /// Bytes that arrived and were not asked for yet.
  private var rest: [UInt8] = []

  init(_ socket: Int32) { self.socket = socket }

  /// The lines up to the next empty one; nil if the stream ends before.
  func head() -> [String]? {
    let end = Array("\r\n\r\n".utf8)
    while true {
      if let found = rest.firstRange(of: end) {
        let lines = String(decoding: rest[..<found.lowerBound], as: UTF8.self).split(separator: "\r\n")
        rest = Array(rest[found.upperBound...])
        return lines.map(String.init)
      }
      guard let piece = receive(65536), !piece.isEmpty else { return nil }
      rest += piece
    }
  }

  /// This many bytes; fewer if the stream ends before.
  func bytes(_ count: Int) -> [UInt8] {
    var bytes = Array(rest.prefix(count))
    rest = Array(rest.dropFirst(count))
    guard bytes.count < count else { return bytes }
    let start = bytes.count
    bytes += [UInt8](repeating: 0, count: count - start)
    var position = start
    bytes.withUnsafeMutableBytes { buffer in
      while position < count {
        let received = recv(socket, buffer.baseAddress! + position, count - position, 0)
        if received < 0, errno == EINTR { continue }
        guard received > 0 else { break }
        position += received
      }
    }
    return position == count ? bytes : Array(bytes[..<position])
  }

  /// Everything up to the end of the stream.
  func remainder() -> [UInt8] {
    var all = rest
    rest = []
    while let piece = receive(1 << 20), !piece.isEmpty { all += piece }
    return all
  }

  private func receive(_ limit: Int) -> [UInt8]? {
    while true {
      var failed = false
      let piece = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
        let received = recv(socket, buffer.baseAddress, limit, 0)
        failed = received < 0
        count = max(0, received)
      }
      if failed, errno == EINTR { continue }
      return failed ? nil : piece
    }
  }
}

/// Sockets to and from this machine.
enum LocalSocket {
  /// A socket that listens on a free port.
  static func listen() throws -> (socket: Int32, port: UInt16) {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0)
    var address = Self.address(0)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let bound = withSocketAddress(&address) { bind(listener, $0, length) }
    guard bound == 0, Glibc.listen(listener, 128) == 0 else {
      throw HoldfastError(errno: errno, "listen on", "127.0.0.1")
    }
    _ = withSocketAddress(&address) { getsockname(listener, $0, &length) }
    return (listener, UInt16(bigEndian: address.sin_port))
  }

  static func connect(_ port: UInt16) throws -> Int32 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0)
    // A server that never answers is a failure and no endless wait.
    var limit = timeval(tv_sec: 300, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    var address = Self.address(port)
    let length = socklen_t(MemoryLayout<sockaddr_in>.size)
    guard withSocketAddress(&address, { Glibc.connect(descriptor, $0, length) }) == 0 else {
      let error = errno
      close(descriptor)
      throw HoldfastError(errno: error, "connect to", "127.0.0.1:\(port)")
    }
    return descriptor
  }

  /// - Returns: false if the other side has closed.
  @discardableResult
  static func send(_ bytes: some Collection<UInt8>, to socket: Int32) -> Bool {
    let bytes = Array(bytes)
    return bytes.withUnsafeBytes { buffer in
      var sent = 0
      while sent < buffer.count {
        let count = Glibc.send(socket, buffer.baseAddress! + sent, buffer.count - sent, Int32(MSG_NOSIGNAL))
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return false }
        sent += count
      }
      return true
    }
  }

  private static func address(_ port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    return address
  }

  private static func withSocketAddress<Result>(
    _ address: inout sockaddr_in, _ body: (UnsafeMutablePointer<sockaddr>) -> Result
  ) -> Result {
    withUnsafeMutablePointer(to: &address) { $0.withMemoryRebound(to: sockaddr.self, capacity: 1, body) }
  }
}
