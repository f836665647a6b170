/// One exchange on its way from the caller to the loop's thread and back.
///
/// `@unchecked Sendable`: `result` is guarded by `monitor`; everything else never changes.
final class Exchange: @unchecked Sendable {
  let request: HTTPRequest
  let sink: HTTPSink
  let settings: TransferSettings
  let server: ServerName
  private let monitor = TransferMonitor()
  private var result: Result<HTTPResponse, TransferError>?

  init(_ request: HTTPRequest, into sink: HTTPSink, _ settings: TransferSettings) {
    (self.request, self.sink, self.settings) = (request, sink, settings)
    server = ServerName(url: request.url)
  }

  /// Hands the result to the caller. Afterwards the loop uses neither body nor sink.
  func finish(_ result: Result<HTTPResponse, TransferError>) {
    monitor.locked {
      self.result = result
      monitor.wakeAll()
    }
  }

  func waitForResult() throws(TransferError) -> HTTPResponse {
    let outcome = monitor.locked { () -> Result<HTTPResponse, TransferError> in
      while true {
        if let result { return result }
        monitor.wait()
      }
    }
    return try outcome.get()
  }
}

/// The server of a URL.
struct ServerName: Hashable {
  /// `https://host:port`, the unit of the limit of connections.
  let origin: String
  /// `host:port`, for messages. Without a user's name, because a password may follow it.
  let host: String

  init(url: String) {
    let scheme = url.firstRange(of: "://").map { url[..<$0.upperBound] } ?? ""
    let authority = url.dropFirst(scheme.count).prefix { !"/?#".contains($0) }
    host = authority.lastIndex(of: "@").map { String(authority[authority.index(after: $0)...]) } ?? String(authority)
    origin = "\(scheme)\(host)".lowercased()
  }
}
