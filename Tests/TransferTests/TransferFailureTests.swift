import CCurl
import Glibc
import Testing

@testable import Transfer

@Suite("Failures of libcurl in words")
struct TransferFailureTests {
  private func error(
    _ code: CURLcode, _ detail: String = "", _ change: (inout TransferFailure) -> Void = { _ in }
  ) -> TransferError {
    var failure = TransferFailure(code: code, host: "store.example", settings: TransferSettings(version: "1"))
    failure.detail = detail
    change(&failure)
    return failure.error
  }

  private func expect(
    _ error: TransferError, _ kind: String, _ message: String, _ place: SourceLocation = #_sourceLocation
  ) {
    #expect("\(error.kind)" == kind, sourceLocation: place)
    #expect(error.message == message, sourceLocation: place)
  }

  @Test("A connection that did not come about")
  func connecting() {
    expect(error(CURLE_COULDNT_RESOLVE_HOST), "resolve", "cannot find the address of store.example")
    expect(
      error(CURLE_COULDNT_CONNECT) { $0.systemError = ENETUNREACH }, "connect",
      "cannot connect to store.example: network is unreachable")
    expect(error(CURLE_OPERATION_TIMEDOUT), "connect", "cannot connect to store.example within 15 s")
    expect(
      error(CURLE_RECV_ERROR) { $0.proxyStatus = 407 }, "connect",
      "the proxy refuses to connect to store.example: status 407")
  }

  @Test("A proxy that cannot be reached is named beside the store, and the store alone without a proxy")
  func proxy() {
    func refused(_ place: String, _ change: (inout TransferFailure) -> Void = { _ in }) -> TransferError {
      error(CURLE_COULDNT_CONNECT, "Failed to connect to \(place) after 0 ms: Couldn't connect to server") {
        $0.systemError = ECONNREFUSED
        change(&$0)
      }
    }
    let direct = "cannot connect to store.example: connection refused"
    expect(refused("store.example port 443"), "connect", direct)
    expect(
      refused("proxy.internal port 3128"), "connect",
      "cannot connect to the proxy proxy.internal:3128 for store.example: connection refused")
    expect(refused("proxy.internal port 3128") { $0.settings.proxy = .none }, "connect", direct)
    expect(
      refused("127.0.0.1 port 9000") { $0.host = "127.0.0.1:9000" }, "connect",
      "cannot connect to 127.0.0.1:9000: connection refused")
    expect(
      refused("::1 port 9000") { $0.host = "[::1]:9000" }, "connect",
      "cannot connect to [::1]:9000: connection refused")
    expect(
      refused("127.0.0.1 port 3128") { $0.host = "127.0.0.1:9000" }, "connect",
      "cannot connect to the proxy 127.0.0.1:3128 for 127.0.0.1:9000: connection refused")
  }

  @Test("A connection that ended")
  func interruptions() {
    expect(
      error(CURLE_RECV_ERROR, "Recv failure: Connection reset by peer"), "interrupted",
      "the connection to store.example was interrupted: connection reset by peer")
    expect(
      error(CURLE_SSL_CONNECT_ERROR, "OpenSSL SSL_connect: SSL_ERROR_SYSCALL in connection to store.example:443 "),
      "interrupted", "the connection to store.example was interrupted")
    expect(
      error(CURLE_SSL_CONNECT_ERROR, "error:0A000126:SSL routines::unexpected eof while reading"), "interrupted",
      "the connection to store.example was interrupted: it ended too early")
    expect(
      error(CURLE_PARTIAL_FILE), "interrupted", "store.example closed the connection before its answer was complete")
  }

  @Test("Time that ran out")
  func timeouts() {
    expect(
      error(CURLE_OPERATION_TIMEDOUT) { $0.wasReady = true }, "timeout",
      "no byte went to or came from store.example for 60 s")
    expect(
      error(CURLE_OPERATION_TIMEDOUT) { ($0.timeout, $0.elapsed) = (1000, 1001) }, "timeout",
      "store.example did not complete its answer within 1 s")
  }

  @Test("Encryption that is not trusted")
  func encryption() {
    let start = "no trusted encrypted connection to store.example: "
    expect(
      error(CURLE_PEER_FAILED_VERIFICATION, "SSL certificate problem: certificate has expired"), "tls",
      start + "certificate has expired")
    expect(
      error(CURLE_SSL_CONNECT_ERROR, "error:0A00010B:SSL routines::wrong version number"), "tls",
      start + "wrong version number")
    expect(
      error(CURLE_SSL_CACERT_BADFILE) { $0.settings.caFile = "/ca.pem" }, "tls",
      "cannot read the certificate authorities /ca.pem")
  }

  @Test("Words of libcurl that may repeat a password are left out")
  func secrets() {
    for code in (1...100).map({ CURLcode(rawValue: $0) }) where !TransferFailure.quotesDetail(code) {
      #expect(!error(code, "proxy http://user:secret@host").message.contains("secret"), "\(code.rawValue)")
    }
  }
}
