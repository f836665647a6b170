import BackupEngine
import BackupPolicy
import Glibc
import Synchronization

/// One OpenStack Swift with its S3 API for all tests. Unlike moto it checks every signature and every
/// digest, and it refuses conditions.
package enum SwiftServer {
  private static let server = Mutex<PythonServer?>(nil)
  private static let buckets = Atomic<Int>(0)

  private static func started() throws -> PythonServer {
    try server.withLock { server in
      // Debian's package serves Debian's Python only.
      let started = try server ?? PythonServer("swift_server.py", python: "/usr/bin/python3")
      server = started
      return started
    }
  }

  package static func url() throws -> String { try started().url }
  package static func keyID() throws -> String { try started().lines[1] }
  package static func secret() throws -> String { try started().lines[2] }

  /// Makes an empty bucket through Swift's own interface, and returns its name.
  package static func makeBucket() throws -> String {
    let name = "bucket-\(buckets.add(1, ordering: .relaxed).newValue)"
    let login = [("X-Auth-User", try keyID()), ("X-Auth-Key", try secret())]
    let answer = try send("GET", "/auth/v1.0", login)
    guard let token = answer.headers.first(where: { $0.name.lowercased() == "x-auth-token" })?.value else {
      throw HoldfastError(.failed, "Swift gives no token: \(answer.status)")
    }
    let made = try send("PUT", "/v1/AUTH_test/\(name)", [("X-Auth-Token", token)])
    guard made.status / 100 == 2 else { throw HoldfastError(.failed, "Swift makes no bucket: \(made.status)") }
    return name
  }

  private static func send(_ method: String, _ path: String, _ headers: [(String, String)]) throws -> RawResponse {
    let port = try url().split(separator: ":").last.flatMap { UInt16($0) } ?? 80
    let socket = try LocalSocket.connect(port)
    defer { close(socket) }
    var request = RawRequest(method, path)
    request.headers += headers.map { (name: $0.0, value: $0.1) }
    LocalSocket.send(request.head, to: socket)
    guard let response = RawResponse(from: socket, to: method) else {
      throw HoldfastError(.failed, "Swift does not answer \(method) \(path)")
    }
    return response
  }
}
