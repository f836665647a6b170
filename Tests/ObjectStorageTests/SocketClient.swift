import Glibc
import Synchronization
import Transfer

/// A small HTTP/1.1 client over plain sockets to 127.0.0.1, one connection a request, so that these
/// tests need no other part of the product. It counts the requests.
final class SocketClient: HTTPClient {
  private let log = Mutex<[String]>([])

  /// `METHOD path?query` of each request.
  var requests: [String] { log.withLock { $0 } }

  func perform(_ request: HTTPRequest, into sink: HTTPSink) throws(TransferError) -> HTTPResponse {
    let (authority, path) = try Self.split(request.url)
    log.withLock { $0.append("\(request.method.rawValue) \(path)") }
    let socket = try Self.connect(authority)
    defer { close(socket) }
    try Self.send(Self.head(request, authority, path), to: socket)
    try Self.send(Self.body(request.body), to: socket)
    let raw = try Self.receive(socket)
    return try Self.response(raw, request.method, sink)
  }

  private static func split(_ url: String) throws(TransferError) -> (String, String) {
    guard url.hasPrefix("http://") else { throw TransferError(.other, "only http") }
    let rest = url.dropFirst(7)
    guard let slash = rest.firstIndex(of: "/") else { throw TransferError(.other, "no path") }
    return (String(rest[..<slash]), String(rest[slash...]))
  }

  private static func connect(_ authority: String) throws(TransferError) -> Int32 {
    let port = authority.split(separator: ":").last.flatMap { UInt16($0) } ?? 80
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0)
    // A server that never answers is a failure and no endless wait.
    var limit = timeval(tv_sec: 300, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard result == 0 else {
      close(descriptor)
      throw TransferError(.connect, "cannot connect to \(authority)")
    }
    return descriptor
  }

  private static func head(_ request: HTTPRequest, _ authority: String, _ path: String) -> [UInt8] {
    var lines = ["\(request.method.rawValue) \(path) HTTP/1.1", "Host: \(authority)", "Connection: close"]
    let length =
      switch request.body {
      case .empty: Int64(0)
      case .bytes(let bytes): Int64(bytes.count)
      case .file(_, _, let length): length
      }
    if request.method != .get, request.method != .head { lines.append("Content-Length: \(length)") }
    lines += request.headers.map { "\($0.name): \($0.value)" }
    return Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
  }

  private static func body(_ body: HTTPBody) throws(TransferError) -> [UInt8] {
    switch body {
    case .empty: return []
    case .bytes(let bytes): return bytes
    case .file(let descriptor, let offset, let length):
      var bytes = [UInt8](repeating: 0, count: Int(length))
      guard pread(descriptor, &bytes, bytes.count, off_t(offset)) == bytes.count else {
        throw TransferError(.localFile(errno: errno), "cannot read the body")
      }
      return bytes
    }
  }

  private static func send(_ bytes: [UInt8], to socket: Int32) throws(TransferError) {
    var sent = 0
    while sent < bytes.count {
      let count = bytes[sent...].withUnsafeBytes {
        Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { throw TransferError(.interrupted, "the connection ended") }
      sent += count
    }
  }

  private static func receive(_ socket: Int32) throws(TransferError) -> [UInt8] {
    var raw: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = recv(socket, &buffer, buffer.count, 0)
      guard count >= 0 else { throw TransferError(.interrupted, "the connection ended") }
      if count == 0 { return raw }
      raw += buffer.prefix(count)
    }
  }

  private static func response(
    _ raw: [UInt8], _ method: HTTPRequest.Method, _ sink: HTTPSink
  ) throws(TransferError) -> HTTPResponse {
    guard let end = raw.firstRange(of: Array("\r\n\r\n".utf8)) else {
      throw TransferError(.interrupted, "the answer is not complete")
    }
    let lines = String(decoding: raw[..<end.lowerBound], as: UTF8.self).split(separator: "\r\n")
    let status = lines.first?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    let headers = lines.dropFirst().compactMap { line -> (name: String, value: String)? in
      guard let colon = line.firstIndex(of: ":") else { return nil }
      let value = line[line.index(after: colon)...].drop { $0 == " " }
      return (String(line[..<colon]), String(value))
    }
    var body = Array(raw[end.upperBound...])
    let isChunked = headers.contains { $0.name.lowercased() == "transfer-encoding" && $0.value == "chunked" }
    if isChunked { body = try joined(body) }
    let length = headers.first { $0.name.lowercased() == "content-length" }.flatMap { Int($0.value) }
    if method != .head, let length, body.count < length { throw TransferError(.interrupted, "the answer is cut off") }
    return try deliver(HTTPResponse(status: status, headers: headers, body: body, received: Int64(body.count)), sink)
  }

  private static func deliver(_ response: HTTPResponse, _ sink: HTTPSink) throws(TransferError) -> HTTPResponse {
    guard response.status / 100 == 2 else { return response }
    guard response.body.count <= sink.limit else { throw TransferError(.tooLarge, "the answer is too large") }
    switch sink {
    case .memory: return response
    case .file(let descriptor, let offset, _):
      guard pwrite(descriptor, response.body, response.body.count, off_t(offset)) == response.body.count else {
        throw TransferError(.localFile(errno: errno), "cannot write the answer")
      }
      var response = response
      response.body = []
      return response
    }
  }

  private static func joined(_ chunks: [UInt8]) throws(TransferError) -> [UInt8] {
    var body: [UInt8] = []
    var rest = chunks[...]
    while let end = rest.firstRange(of: [13, 10]) {
      guard let size = Int(String(decoding: rest[..<end.lowerBound], as: UTF8.self), radix: 16) else { break }
      if size == 0 { return body }
      guard rest.distance(from: end.upperBound, to: rest.endIndex) >= size + 2 else { break }
      body += rest[end.upperBound..<(end.upperBound + size)]
      rest = rest[(end.upperBound + size + 2)...]
    }
    throw TransferError(.interrupted, "the answer is cut off")
  }
}
