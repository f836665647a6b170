import FoundationEssentials
import Glibc
import TestSupport
import Testing

@testable import Transfer

/// `Tests/Fixtures/transfer_server.py` beside a test: a real server process, which may misbehave.
final class TransferServer {
  let folder: TemporaryFolder
  let port: Int
  /// For other threads.
  let address: Address
  private let process: ProcessInBackground

  struct Address {
    var scheme: String
    var port: Int

    func url(_ target: String, scheme: String? = nil, host: String = "127.0.0.1") -> String {
      "\(scheme ?? self.scheme)://\(host):\(port)/\(target)"
    }
  }

  /// - Parameters:
  ///   - certificate: the name of the certificate; without one, the server speaks plain HTTP.
  ///   - options: of the script.
  init(certificate: String? = nil, _ options: String...) throws {
    folder = try TemporaryFolder()
    let script = "\(projectFolder)/Tests/Fixtures/transfer_server.py"
    if certificate != nil {
      try #require(try Python.run(file: script, arguments: [folder.path, "--certificates"]).status == 0)
    }
    let tls = certificate.map { ["--tls", $0] } ?? []
    process = try ProcessInBackground("python3", [script, folder.path] + tls + options)
    try process.waitForLine("ready")
    port = try #require(process.lines.first?.split(separator: " ").last.flatMap { Int($0) })
    address = Address(scheme: certificate == nil ? "http" : "https", port: port)
  }

  func url(_ target: String, scheme: String? = nil, host: String = "127.0.0.1") -> String {
    address.url(target, scheme: scheme, host: host)
  }

  var certificateAuthority: String { folder.path("ca.pem") }

  /// `CONNECTION METHOD TARGET` of each request, and `CONNECTION closed`.
  var events: [String] { Array(process.lines.drop { $0 != "ready" }.dropFirst()) }

  var requests: [String] { events.filter { !$0.hasSuffix("closed") } }

  func waitForEvent(_ event: String) throws { try process.waitForLine(event) }

  func stop() { process.stop() }
}

/// The facts in an answer of `/echo`.
struct Echo: Decodable {
  var method = ""
  var target = ""
  var headers: [[String]] = []
  var expect: String?
  var length: Int64
  var sha256: String

  enum CodingKeys: CodingKey { case method, target, headers, expect, length, sha256 }

  init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    method = try values.decodeIfPresent(String.self, forKey: .method) ?? ""
    target = try values.decodeIfPresent(String.self, forKey: .target) ?? ""
    headers = try values.decodeIfPresent([[String]].self, forKey: .headers) ?? []
    expect = try values.decodeIfPresent(String.self, forKey: .expect)
    length = try values.decode(Int64.self, forKey: .length)
    sha256 = try values.decode(String.self, forKey: .sha256)
  }

  init(_ response: HTTPResponse) throws { self = try JSONDecoder().decode(Echo.self, from: Data(response.body)) }

  func values(_ name: String) -> [String] { headers.filter { $0[0].lowercased() == name.lowercased() }.map { $0[1] } }
}

/// An open file of a temporary folder, closed with the last reference.
final class TestFile {
  let path: String
  let descriptor: Int32

  init(_ path: String, _ flags: Int32 = O_RDWR) throws {
    self.path = path
    descriptor = open(path, flags | O_CLOEXEC)
    try #require(descriptor >= 0)
  }

  /// A file with the bytes that the server's `/bytes` has.
  convenience init(_ folder: TemporaryFolder, _ name: String, size: Int) throws {
    try self.init(try folder.write(name, TestContent.bytes(size)))
  }

  deinit { close(descriptor) }

  var status: stat {
    var result = stat()
    fstat(descriptor, &result)
    return result
  }
}

enum TestContent {
  /// Bytes without a short period.
  static func bytes(_ count: Int) -> [UInt8] {
    var state: UInt64 = 88_172_645_463_325_252
    return [UInt8](unsafeUninitializedCapacity: count + 8) { buffer, used in
      // A word at a time, and no generic sequence: unoptimised, that takes a minute for all contents.
      let bytes = UnsafeMutableRawPointer(buffer.baseAddress.unsafelyUnwrapped)
      var offset = 0
      while offset < count {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        bytes.storeBytes(of: state, toByteOffset: offset, as: UInt64.self)
        offset += 8
      }
      used = count
    }
  }

  static func sha256(_ bytes: [UInt8]) throws -> String {
    String(try Shell.run("sha256sum", stdin: bytes).stdout.prefix(64))
  }
}

extension TransferSettings {
  /// Without the environment's proxies.
  static func test(_ change: (inout TransferSettings) -> Void = { _ in }) -> TransferSettings {
    var settings = TransferSettings(version: "1.2.3")
    settings.proxy = .none
    change(&settings)
    return settings
  }
}

extension HTTPClient {
  func get(_ url: String, limit: Int = 1 << 20) throws(TransferError) -> HTTPResponse {
    try perform(HTTPRequest(.get, url), into: .memory(limit: limit))
  }

  /// The kind and the message of the failure; nil if there is an answer.
  func failure(_ request: HTTPRequest, into sink: HTTPSink = .memory(limit: 1 << 20)) -> TransferError? {
    do {
      _ = try perform(request, into: sink)
      return nil
    } catch {
      return error
    }
  }
}

extension TransferError {
  /// The kind's name, and the error number of a local file.
  var name: String { "\(kind)" }
}
