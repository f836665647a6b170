import TestSupport
import Testing

@testable import Transfer

@Suite("Certificates", .ownThread)
struct TransferTrustTests {
  private let loop = TransferLoop()

  private func client(_ server: TransferServer) -> TransferClient {
    loop.client(.test { $0.caFile = server.certificateAuthority })
  }

  @Test("A given authority is trusted, as a file or as a folder")
  func trusted() throws {
    let server = try TransferServer(certificate: "good")
    #expect(try client(server).get(server.url("bytes?100000")).body.count == 100_000)
    #expect(try client(server).get(server.url("bytes?10", host: "localhost")).body.count == 10)
    try #require(try Shell.run("openssl", ["rehash", server.folder.path]).status == 0)
    let folder = loop.client(.test { $0.caPath = server.folder.path })
    #expect(try folder.get(server.url("bytes?10")).body.count == 10)
  }

  @Test("Without the authority, the server is not trusted, even on an open connection")
  func unknownAuthority() throws {
    let server = try TransferServer(certificate: "good")
    #expect(try client(server).get(server.url("bytes?10")).status == 200)
    let error = try #require(loop.client(.test()).failure(HTTPRequest(.get, server.url("bytes?10"))))
    #expect(error.name == "tls")
    #expect(
      error.message
        == "no trusted encrypted connection to 127.0.0.1:\(server.port): unable to get local issuer certificate")
    #expect(server.requests == ["1 GET /bytes?10"])
  }

  @Test(
    "A bad certificate is not trusted",
    arguments: [
      ("expired", "certificate has expired"), ("other", "no alternative certificate subject name"),
      ("stranger", "issuer certificate"),
    ])
  func badCertificate(name: String, words: String) throws {
    let server = try TransferServer(certificate: name)
    let error = try #require(client(server).failure(HTTPRequest(.get, server.url("bytes?10"))))
    #expect(error.name == "tls" && error.message.contains(words), "\(error.message)")
    #expect(server.requests.isEmpty)
  }

  @Test("A server with TLS 1.1 at most is refused")
  func oldVersion() throws {
    let server = try TransferServer(certificate: "good", "--tls-max", "1.1")
    let error = try #require(client(server).failure(HTTPRequest(.get, server.url("bytes?10"))))
    #expect(error.name == "tls", "\(error.message)")
    #expect(server.requests.isEmpty)
  }

  @Test("A server without TLS, and authorities that cannot be read")
  func noEncryption() throws {
    let server = try TransferServer()
    let missing = loop.client(.test { $0.caFile = "/nonexistent/ca.pem" })
    let error = try #require(missing.failure(HTTPRequest(.get, server.url("bytes?10", scheme: "https"))))
    #expect(error.name == "tls" && error.message == "cannot read the certificate authorities /nonexistent/ca.pem")
  }

  @Test("An encrypted answer that ends early is an interruption", arguments: ["cut", "nothing", "reset-answer"])
  func interrupted(target: String) throws {
    let server = try TransferServer(certificate: "good")
    #expect(client(server).failure(HTTPRequest(.get, server.url(target)))?.name == "interrupted")
  }

  @Test("A file goes out and comes back encrypted")
  func files() throws {
    let server = try TransferServer(certificate: "good")
    let source = try TestFile(server.folder, "source", size: 1_500_000)
    let request = HTTPRequest(
      .put, server.url("echo"), body: .file(descriptor: source.descriptor, offset: 0, length: 1_500_000))
    let echo = try Echo(try client(server).perform(request, into: .memory(limit: 1 << 20)))
    #expect(echo.sha256 == (try TestContent.sha256(TestContent.bytes(1_500_000))))
  }
}
