import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Transfer

@Suite("Exchanges with a server", .ownThread)
struct ExchangeTests {
  private let server: TransferServer
  private let loop = TransferLoop()
  private var client: TransferClient { loop.client(.test()) }

  init() throws { server = try TransferServer() }

  @Test("A request has its own headers and four of the transfer's")
  func requestHeaders() throws {
    let request = HTTPRequest(
      .get, server.url("echo?list-type=2&prefix=a%20b"),
      headers: [("X-First", "1"), ("x-empty", ""), ("X-Last", "a;b")])
    let echo = try Echo(try client.perform(request, into: .memory(limit: 1 << 20)))
    #expect(echo.target == "/echo?list-type=2&prefix=a%20b")
    #expect(
      echo.headers == [
        ["Host", "127.0.0.1:\(server.port)"], ["User-Agent", "holdfast/1.2.3"], ["Accept-Encoding", "identity"],
        ["X-First", "1"], ["x-empty", ""], ["X-Last", "a;b"],
      ])
  }

  @Test(
    "Each method sends its body with a known length", arguments: [HTTPRequest.Method.put, .post], [0, 1, 3_000_000])
  func bytes(method: HTTPRequest.Method, size: Int) throws {
    let bytes = TestContent.bytes(size)
    let echo = try Echo(
      try client.perform(HTTPRequest(method, server.url("echo"), body: .bytes(bytes)), into: .memory(limit: 1 << 20)))
    #expect(echo.method == method.rawValue)
    #expect(echo.values("Content-Length") == ["\(size)"])
    // A large body is announced first, a small one is sent at once.
    #expect(echo.values("Expect") == (size > 1 << 20 ? ["100-continue"] : []))
    #expect(echo.values("Content-Type") == [] && echo.values("Transfer-Encoding") == [])
    #expect(echo.sha256 == (try TestContent.sha256(bytes)))
  }

  @Test("A method without a body sends only its head", arguments: [HTTPRequest.Method.get, .delete])
  func noBody(method: HTTPRequest.Method) throws {
    let echo = try Echo(try client.perform(HTTPRequest(method, server.url("echo")), into: .memory(limit: 1 << 20)))
    #expect(echo.method == method.rawValue)
    #expect(echo.values("Content-Length") == [] && echo.length == 0)
  }

  @Test("HEAD brings the headers and no body")
  func head() throws {
    let response = try client.perform(HTTPRequest(.head, server.url("bytes?1000")), into: .memory(limit: 10))
    #expect(response.status == 200 && response.body.isEmpty && response.received == 0)
    #expect(response.headers.map(\.name) == ["Content-Length"] && response.headers.first?.value == "1000")
  }

  @Test("A range of a file goes out, and an answer goes into a file at an offset; positions stay")
  func files() throws {
    let source = try TestFile(server.folder, "source", size: 2_500_000)
    let request = HTTPRequest(
      .put, server.url("echo"), body: .file(descriptor: source.descriptor, offset: 1_000_001, length: 1_400_000))
    let echo = try Echo(try client.perform(request, into: .memory(limit: 1 << 20)))
    #expect(echo.length == 1_400_000)
    #expect(echo.sha256 == (try TestContent.sha256(Array(TestContent.bytes(2_500_000)[1_000_001..<2_400_001]))))
    #expect(lseek(source.descriptor, 0, SEEK_CUR) == 0)

    let target = try TestFile(try server.folder.write("target", [1, 2, 3]))
    let response = try client.perform(
      HTTPRequest(.get, server.url("bytes?700000")),
      into: .file(descriptor: target.descriptor, offset: 3, limit: 700_000))
    #expect(response.body.isEmpty && response.received == 700_000)
    let whole = try client.get(server.url("bytes?700000")).body
    #expect(try server.folder.read("target") == [1, 2, 3] + whole)
  }

  @Test("The answer's headers are those of the final head, without spaces around them")
  func answerHeaders() throws {
    // A body of more than 1 MiB asks for `100 Continue`, which has a head of its own.
    let request = HTTPRequest(.put, server.url("echo"), body: .bytes(TestContent.bytes(1_100_000)))
    let response = try client.perform(request, into: .memory(limit: 1 << 20))
    #expect(try Echo(response).values("Expect") == ["100-continue"])
    #expect(response.headers.map(\.name) == ["Content-Length", "X-Reply", "X-None"])
    #expect(response.headers.map(\.value).dropFirst() == ["two  words", ""])
  }

  @Test("A body reports its bytes as the connection takes them")
  func sent() throws {
    let reports = Mutex<[Int64]>([])
    var request = HTTPRequest(.put, server.url("echo"), body: .bytes(TestContent.bytes(900_000)))
    request.sent = { sent in reports.withLock { $0.append(sent) } }
    _ = try client.perform(request, into: .memory(limit: 1 << 20))
    let positions = reports.withLock { $0 }
    #expect(positions.last == 900_000 && positions == positions.sorted() && positions.count > 1)
  }

  @Test("Chunked answers and ranges arrive whole")
  func chunked() throws {
    let whole = try client.get(server.url("bytes?100000"))
    let chunked = try client.get(server.url("chunked?100000"))
    #expect(chunked.body == whole.body && chunked.received == 100_000)
    #expect(chunked.headers.map(\.name) == ["Transfer-Encoding"])
    let part = try client.perform(
      HTTPRequest(.get, server.url("bytes?100000"), headers: [("Range", "bytes=5-99")]), into: .memory(limit: 95))
    #expect(part.status == 206 && part.body == Array(whole.body[5...99]))
  }

  @Test("The body of an error goes to memory, at most 64 KiB of it, even if the sink is a file")
  func errorBodies() throws {
    let target = try TestFile(try server.folder.write("target", [7]))
    let sink = HTTPSink.file(descriptor: target.descriptor, offset: 0, limit: 65536)
    for (size, kept) in [(0, 0), (1000, 1000), (300_000, 65536)] {
      for status in [301, 404, 503] {
        let response = try client.perform(HTTPRequest(.get, server.url("status?\(status),\(size)")), into: sink)
        #expect(response.status == status && response.body.count == kept)
      }
    }
    #expect(try client.perform(HTTPRequest(.get, server.url("endless?500")), into: sink).body.count == 65536)
    #expect(try server.folder.read("target") == [7])
  }

  @Test("An answer that is longer than the limit fails")
  func tooLarge() throws {
    #expect(try client.get(server.url("bytes?1000"), limit: 1000).body.count == 1000)
    for target in ["bytes?1001", "endless?200", "endless-head"] {
      #expect(client.failure(HTTPRequest(.get, server.url(target)), into: .memory(limit: 1000))?.name == "tooLarge")
    }
    let file = try TestFile(try server.folder.write("target", [7]))
    let sink = HTTPSink.file(descriptor: file.descriptor, offset: 1, limit: 100_000)
    for target in ["bytes?100001", "endless?200"] {
      let error = try #require(client.failure(HTTPRequest(.get, server.url(target)), into: sink))
      #expect(error.name == "tooLarge" && error.received <= 100_000)
      #expect(file.status.st_size <= 100_001)
    }
    #expect(try client.perform(HTTPRequest(.get, server.url("bytes?100000")), into: sink).received == 100_000)
  }

  @Test("A redirect is an answer")
  func redirect() throws {
    let response = try client.get(server.url("redirect"))
    #expect(response.status == 307 && response.headers.contains { $0 == ("Location", "/echo") })
    #expect(server.events == ["1 GET /redirect"])
  }

  @Test("A path goes out as it is")
  func path() throws {
    let target = "echo/../a/./b//%2e%2E/c+d?x=%2f&y"
    #expect(try Echo(try client.get(server.url(target))).target == "/\(target)")
  }

  @Test("Bytes beyond the announced length are not part of this answer or the next", arguments: ["", "?0.2"])
  func long(pause: String) throws {
    #expect(try client.get(server.url("long\(pause)")).body.count == 10)
    #expect(try client.get(server.url("bytes?20")).body.count == 20)
  }

  @Test(
    "A request that could carry more than its parts is refused",
    arguments: [
      "http://user:secret@127.0.0.1:1/", "file:///etc/passwd", "ftp://127.0.0.1:1/", "http://127.0.0.1:1/a b",
      "http://127.0.0.1:1/\u{0}", "",
    ])
  func refusedURLs(url: String) throws {
    let error = try #require(client.failure(HTTPRequest(.get, url)))
    #expect(error.name == "other")
    #expect(!error.message.contains("secret"))
  }

  @Test("A header with a line end is refused", arguments: [("X-One", "a\r\nX-Two: b"), ("X\n", "a"), ("X", "\u{0}")])
  func refusedHeaders(name: String, value: String) throws {
    let request = HTTPRequest(.get, server.url("echo"), headers: [(name, value)])
    #expect(client.failure(request)?.name == "other")
    #expect(server.events.isEmpty)
  }
}
