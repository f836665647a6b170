import BackupEngine
import BackupPolicy
import Glibc

/// A request as a proxy passes it on.
struct RawRequest {
  var method: String
  /// With the query.
  var target: String
  var headers: [(name: String, value: String)]
  var body: [UInt8] = []

  init(_ method: String, _ target: String, body: [UInt8] = []) {
    (self.method, self.target, self.body) = (method, target, body)
    headers = [("Host", "127.0.0.1")]
  }

  /// Nil if the lines are not the head of a request.
  init?(head: [String]) {
    let words = head.first?.split(separator: " ").map(String.init) ?? []
    guard words.count == 3 else { return nil }
    (method, target) = (words[0], words[1])
    headers = RawResponse.headers(head)
  }

  var length: Int { header("content-length").flatMap { Int($0) } ?? 0 }
  /// Whether the client waits for the end of the connection.
  var closes: Bool { header("connection")?.lowercased() == "close" }
  var expectsContinue: Bool { header("expect")?.lowercased() == "100-continue" }

  private func header(_ name: String) -> String? { headers.first { $0.name.lowercased() == name }?.value }

  /// For a connection of its own.
  var head: [UInt8] {
    let dropped: Set = ["connection", "expect", "content-length"]
    let kept = headers.filter { !dropped.contains($0.name.lowercased()) }.map { "\($0.name): \($0.value)" }
    let length = method == "GET" || method == "HEAD" ? [] : ["Content-Length: \(body.count)"]
    let lines = ["\(method) \(target) HTTP/1.1"] + kept + length + ["Connection: close"]
    return Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
  }
}

/// An answer with its whole body.
struct RawResponse {
  var status: Int
  var headers: [(name: String, value: String)]
  var body: [UInt8]
  /// Of the object, in the answer to a HEAD.
  private var announced: String?

  /// An error of S3.
  init(status: Int, code: String) {
    self.status = status
    headers = [("Content-Type", "application/xml")]
    body = Array("<Error><Code>\(code)</Code><Message>the test wants it</Message></Error>".utf8)
  }

  /// Reads the answer to a request that closes its connection; nil if it is not complete.
  init?(from socket: Int32, to method: String) {
    let reader = SocketReader(socket)
    guard let head = reader.head(),
      let status = head.first?.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
    else { return nil }
    self.status = status
    let all = Self.headers(head)
    let chunked = all.contains { $0.name.lowercased() == "transfer-encoding" && $0.value.lowercased() == "chunked" }
    let length = all.first { $0.name.lowercased() == "content-length" }?.value
    let framing: Set = ["content-length", "transfer-encoding", "connection", "keep-alive"]
    headers = all.filter { !framing.contains($0.name.lowercased()) }
    body = []
    if method == "HEAD" {
      announced = length
    } else if chunked {
      guard let joined = Self.joined(reader.remainder()) else { return nil }
      body = joined
    } else if let length = length.flatMap({ Int($0) }) {
      body = reader.bytes(length)
      guard body.count == length else { return nil }
    } else {
      body = reader.remainder()
    }
  }

  var head: [UInt8] {
    let length = status == 204 ? [] : ["Content-Length: \(announced ?? "\(body.count)")"]
    let lines = ["HTTP/1.1 \(status) Answer"] + headers.map { "\($0.name): \($0.value)" } + length
    return Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
  }

  static func headers(_ head: [String]) -> [(name: String, value: String)] {
    head.dropFirst().compactMap { line in
      guard let colon = line.firstIndex(of: ":") else { return nil }
      return (String(line[..<colon]), String(line[line.index(after: colon)...].drop { $0 == " " }))
    }
  }

  private static func joined(_ chunks: [UInt8]) -> [UInt8]? {
    var body: [UInt8] = []
    var rest = chunks[...]
    while let end = rest.firstRange(of: [13, 10]) {
      guard let size = Int(String(decoding: rest[..<end.lowerBound], as: UTF8.self), radix: 16) else { return nil }
      if size == 0 { return body }
      guard rest.distance(from: end.upperBound, to: rest.endIndex) >= size + 2 else { return nil }
      body += rest[end.upperBound..<(end.upperBound + size)]
      rest = rest[(end.upperBound + size + 2)...]
    }
    return nil
  }
}
