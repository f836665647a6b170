import Glibc
import TestSupport
import Testing

@testable import Transfer

@Suite("Exchanges that fail", .ownThread)
struct TransferFaultTests {
  private let server: TransferServer
  private let loop = TransferLoop()
  private var client: TransferClient { loop.client(.test { ($0.stallLimit, $0.continueTimeout) = (1000, 100) }) }

  init() throws { server = try TransferServer() }

  @Test(
    "An answer that ends early is an interruption",
    arguments: ["cut", "cut-head", "cut-chunk", "nothing", "reset-answer"], [HTTPRequest.Method.get, .put])
  func interrupted(target: String, method: HTTPRequest.Method) throws {
    let body = method == .put ? HTTPBody.bytes(TestContent.bytes(100_000)) : .empty
    let error = try #require(client.failure(HTTPRequest(method, server.url(target), body: body)))
    #expect(error.name == "interrupted")
    #expect(error.message.contains("127.0.0.1:\(server.port)"))
  }

  @Test("An interrupted answer reports the bytes that the file has", arguments: ["cut", "cut-chunk"])
  func received(target: String) throws {
    let file = try TestFile(try server.folder.write("target", [7]))
    let sink = HTTPSink.file(descriptor: file.descriptor, offset: 1, limit: 1000)
    let error = try #require(client.failure(HTTPRequest(.get, server.url(target)), into: sink))
    #expect(error.name == "interrupted" && error.received > 0)
    let whole = target == "cut" ? try client.get(server.url("bytes?1000")).body : Array("short".utf8)
    #expect(try server.folder.read("target") == [7] + whole.prefix(Int(error.received)))
  }

  @Test("A connection that is reset during the upload is an interruption", arguments: [1, 1_000_000])
  func resetUpload(after count: Int) throws {
    let request = HTTPRequest(.put, server.url("reset-upload?\(count)"), body: .bytes(TestContent.bytes(8_000_000)))
    #expect(client.failure(request)?.name == "interrupted")
  }

  @Test("A server from which no byte comes is a timeout", arguments: ["stall", "stall-body"])
  func stall(target: String) throws {
    let error = try #require(client.failure(HTTPRequest(.get, server.url(target))))
    #expect(error.name == "timeout")
    #expect(error.message == "no byte went to or came from 127.0.0.1:\(server.port) for 1 s")
  }

  @Test("A server that does not read the body is a timeout")
  func deaf() throws {
    let request = HTTPRequest(.put, server.url("deaf"), body: .bytes(TestContent.bytes(8_000_000)))
    #expect(client.failure(request)?.name == "timeout")
  }

  @Test("A slow answer is no stall, but it ends at the request's time limit")
  func slow() throws {
    #expect(try client.get(server.url("trickle?0.3")).body.count == 10)
    let error = try #require(client.failure(HTTPRequest(.get, server.url("trickle?0.3"), timeout: 700)))
    #expect(error.name == "timeout")
    #expect(error.message == "127.0.0.1:\(server.port) did not complete its answer within 700 ms")
  }

  @Test("A slow reader gets the whole body")
  func slowReader() throws {
    let bytes = TestContent.bytes(200_000)
    let echo = try Echo(
      try client.perform(
        HTTPRequest(.put, server.url("slow-echo?0.01"), body: .bytes(bytes)), into: .memory(limit: 1000)))
    #expect(echo.sha256 == (try TestContent.sha256(bytes)))
  }

  @Test("A port without a server, a name without an address and a server that only accepts")
  func unreachable() throws {
    let name = try #require(client.failure(HTTPRequest(.get, "http://no-such-host.invalid/")))
    #expect(name.name == "resolve" && name.message == "cannot find the address of no-such-host.invalid")

    let handshake = loop.client(.test { $0.connectTimeout = 500 })
    let silent = try #require(handshake.failure(HTTPRequest(.get, server.url("deaf", scheme: "https"))))
    #expect(silent.name == "connect" || silent.name == "interrupted")

    server.stop()
    let port = try #require(client.failure(HTTPRequest(.get, server.url("echo"))))
    #expect(port.name == "connect")
    #expect(port.message == "cannot connect to 127.0.0.1:\(server.port): connection refused")
  }

  @Test("Another protocol is reported as such")
  func otherProtocol() throws {
    let error = try #require(client.failure(HTTPRequest(.get, server.url("not-http"))))
    #expect(error.name == "other" && error.message == "127.0.0.1:\(server.port) does not answer in HTTP")
  }

  @Test(
    "A refusal that comes before the body was read is an answer", arguments: [403, 500],
    ["early", "early-reset", "early-cut"])
  func early(status: Int, target: String) throws {
    let client = loop.client(.test { $0.continueTimeout = 0 })
    let request = HTTPRequest(.put, server.url("\(target)?\(status)"), body: .bytes(TestContent.bytes(20_000_000)))
    let response = try client.perform(request, into: .memory(limit: 0))
    #expect(response.status == status && response.body == Array("early".utf8))
  }

  @Test("A large body that is refused is not sent")
  func refusedBeforeBody() throws {
    let request = HTTPRequest(.put, server.url("early?403"), body: .file(descriptor: -1, offset: 0, length: 1 << 30))
    // The descriptor is not valid: a read of it would fail.
    #expect(try client.perform(request, into: .memory(limit: 0)).status == 403)
  }

  @Test("A server without 100 Continue gets the body anyway", arguments: ["silent-continue", "no-expect"], [0, 300])
  func expectations(target: String, wait: Int64) throws {
    let bytes = TestContent.bytes(1_200_000)
    let client = loop.client(.test { $0.continueTimeout = wait })
    let response = try client.perform(
      HTTPRequest(.put, server.url(target), body: .bytes(bytes)), into: .memory(limit: 1000))
    try #require(response.status == 200)
    let echo = try Echo(response)
    #expect(echo.sha256 == (try TestContent.sha256(bytes)))
    #expect((echo.expect != nil) == (wait > 0 && target == "silent-continue"))
  }

  @Test(
    "A connection that the server closed while it was idle is replaced",
    arguments: ["then-close", "once?0", "once?300000"])
  func staleConnection(target: String) throws {
    let source = try TestFile(server.folder, "source", size: 900_000)
    let body = HTTPBody.file(descriptor: source.descriptor, offset: 0, length: 900_000)
    for _ in 0..<2 {
      let response = try client.perform(HTTPRequest(.put, server.url(target), body: body), into: .memory(limit: 100))
      #expect(response.status == 200)
    }
    let requests = server.requests
    #expect(requests.first == "1 PUT /\(target)" && requests.last == "2 PUT /\(target)")
  }

  @Test("A file that cannot be read or written is a local failure")
  func localFiles() throws {
    let source = try TestFile(server.folder, "source", size: 1000)
    let folder = try TestFile(server.folder.path, O_RDONLY)
    let full = try TestFile("/dev/full", O_WRONLY)
    func put(_ descriptor: Int32, _ length: Int64) -> TransferError? {
      client.failure(
        HTTPRequest(.put, server.url("echo"), body: .file(descriptor: descriptor, offset: 0, length: length)))
    }
    func get(_ descriptor: Int32) -> TransferError? {
      let sink = HTTPSink.file(descriptor: descriptor, offset: 0, limit: 100)
      return client.failure(HTTPRequest(.get, server.url("bytes?100")), into: sink)
    }
    #expect(put(folder.descriptor, 10)?.name == "localFile(errno: \(EISDIR))")
    #expect(put(source.descriptor, 1001)?.name == "localFile(errno: \(EIO))")
    #expect(get(folder.descriptor)?.name == "localFile(errno: \(EBADF))")
    let error = try #require(get(full.descriptor))
    #expect(error.name == "localFile(errno: \(ENOSPC))")
    #expect(error.message == "cannot write the received file: no space left on device")
    #expect(error.received == 0)
  }
}
