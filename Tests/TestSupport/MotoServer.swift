import BackupEngine
import BackupPolicy
import Glibc
import Synchronization

/// One moto server for all tests. It accepts any credentials.
package enum MotoServer {
  private static let server = Mutex<PythonServer?>(nil)

  package static func url() throws -> String {
    try server.withLock { server in
      let started = try server ?? PythonServer("s3_server.py")
      server = started
      return started.url
    }
  }
}

/// A bucket of the moto server, past all that is tested.
package struct MotoBucket: Sendable {
  package let name: String
  private let port: UInt16
  private static let buckets = Atomic<Int>(0)

  /// Makes an empty bucket.
  package init(_ kind: String = "raw") throws {
    name = "\(kind)-\(Self.buckets.add(1, ordering: .relaxed).newValue)"
    port = try MotoServer.url().split(separator: ":").last.flatMap { UInt16($0) } ?? 80
    _ = try request("PUT", "")
  }

  /// Makes a bucket with these objects, by their keys.
  package init(_ kind: String = "raw", holding objects: [String: [UInt8]]) throws {
    try self.init(kind)
    for (key, bytes) in objects { try put(key, bytes) }
  }

  /// - Parameter key: with characters that need no encoding.
  package func put(_ key: String, _ bytes: [UInt8]) throws { _ = try request("PUT", "/\(key)", bytes) }

  package func get(_ key: String) throws -> [UInt8] { try request("GET", "/\(key)") }

  package func remove(_ key: String) throws { _ = try request("DELETE", "/\(key)") }

  /// At most 1,000.
  package func keys() throws -> [String] { try texts("Key", in: request("GET", "?list-type=2")) }

  package func objects() throws -> [String: [UInt8]] {
    try Dictionary(uniqueKeysWithValues: keys().map { ($0, try get($0)) })
  }

  /// The IDs of the uploads in parts that have not ended.
  package func uploads() throws -> [String] { try texts("UploadId", in: request("GET", "?uploads")) }

  /// Begins an upload in parts that is not continued.
  package func beginUpload(_ key: String) throws { _ = try request("POST", "/\(key)?uploads") }

  private func texts(_ element: String, in xml: [UInt8]) -> [String] {
    String(decoding: xml, as: UTF8.self).split(separator: "<\(element)>").dropFirst().map { part in
      String(part.prefix { $0 != "<" })
    }
  }

  private func request(_ method: String, _ path: String, _ body: [UInt8] = []) throws -> [UInt8] {
    let socket = try LocalSocket.connect(port)
    defer { close(socket) }
    var request = RawRequest(method, "/\(name)\(path)", body: body)
    // It hides objects of others from requests without a signature, and does not check signatures.
    let scope = "testing/20200101/us-east-1/s3/aws4_request"
    request.headers.append(("Authorization", "AWS4-HMAC-SHA256 Credential=\(scope), SignedHeaders=host, Signature=0"))
    LocalSocket.send(request.head + request.body, to: socket)
    guard let response = RawResponse(from: socket, to: method), response.status / 100 == 2 else {
      throw HoldfastError(.failed, "moto refuses \(method) \(path)")
    }
    return response.body
  }
}
