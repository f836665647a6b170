import TestSupport
import Testing

@testable import Transfer

@Suite("Proxies", .ownThread)
struct TransferProxyTests {
  private let loop = TransferLoop()

  private func client(_ proxy: TransferServer, except: String = "", _ server: TransferServer? = nil) -> TransferClient {
    loop.client(
      .test {
        $0.proxy = .url("http://user:secret@127.0.0.1:\(proxy.port)", except: except)
        $0.caFile = server?.certificateAuthority
      })
  }

  @Test("A plain request goes to the proxy with the proxy's credentials")
  func plain() throws {
    let proxy = try TransferServer("--proxy")
    let response = try client(proxy).get("http://store.example/key?x=1")
    #expect(response.body == Array("http://store.example/key?x=1 Basic dXNlcjpzZWNyZXQ=".utf8))
  }

  @Test("An encrypted request goes through a tunnel, and the tunnel's head is no part of the answer")
  func tunnel() throws {
    let (proxy, server) = (try TransferServer("--proxy"), try TransferServer(certificate: "good"))
    let request = HTTPRequest(.get, server.url("echo"), headers: [("Authorization", "hidden from the proxy")])
    let response = try client(proxy, server).perform(request, into: .memory(limit: 1 << 20))
    #expect(proxy.events == ["1 CONNECT 127.0.0.1:\(server.port)"])
    #expect(server.events == ["1 GET /echo"])
    #expect(!response.headers.contains { $0.name == "X-Proxy" })
    #expect(try Echo(response).values("Proxy-Authorization") == [])
  }

  @Test("A host of the exceptions, or no proxy at all, is reached directly")
  func direct() throws {
    let (proxy, server) = (try TransferServer("--proxy"), try TransferServer())
    #expect(try client(proxy, except: "example.org,127.0.0.1").get(server.url("bytes?10")).body.count == 10)
    #expect(try loop.client(.test()).get(server.url("bytes?10")).body.count == 10)
    #expect(proxy.events.isEmpty)
  }

  @Test("A proxy that refuses is named, without its password", arguments: [403, 407, 502])
  func refusal(status: Int) throws {
    let proxy = try TransferServer("--proxy", "\(status)")
    let error = try #require(client(proxy).failure(HTTPRequest(.get, "https://store.example/")))
    #expect(error.name == "connect")
    #expect(error.message == "the proxy refuses to connect to store.example: status \(status)")
  }

  @Test(
    "An address of a proxy that cannot be used is an error without its password",
    arguments: [
      "http://user:secret@no-such-proxy.invalid:3128", "nonsense://user:secret@127.0.0.1:1", "http://u:secret@[:",
    ])
  func unusable(url: String) throws {
    let client = loop.client(.test { $0.proxy = .url(url, except: "") })
    let error = try #require(client.failure(HTTPRequest(.get, "http://store.example/")))
    #expect(!error.message.contains("secret"), "\(error.message)")
  }
}
