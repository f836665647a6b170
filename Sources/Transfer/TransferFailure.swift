import CCurl

/// A failed exchange as libcurl reports it, in our kinds and in words for people.
struct TransferFailure {
  var code: CURLcode
  /// `host:port`.
  var host: String
  /// libcurl's words. They may repeat text of the server, and the URL of a proxy.
  var detail = ""
  /// The system's error number of a failed connect; otherwise zero.
  var systemError: Int32 = 0
  /// The proxy's status for `CONNECT`; zero without a proxy.
  var proxyStatus = 0
  /// The request could be sent: the connection was ready.
  var wasReady = false
  /// Milliseconds since the start.
  var elapsed: Int64 = 0
  /// Milliseconds; nil: no limit.
  var timeout: Int64?
  var settings: TransferSettings

  init(code: CURLcode, host: String, settings: TransferSettings) {
    (self.code, self.host, self.settings) = (code, host, settings)
  }

  init(_ code: CURLcode, of exchange: ActiveExchange) {
    let handle = exchange.handle
    self.init(code: code, host: exchange.exchange.server.host, settings: exchange.exchange.settings)
    detail = handle.detail
    systemError = Int32(truncatingIfNeeded: handle.long(CURLINFO_OS_ERRNO))
    proxyStatus = handle.long(CURLINFO_HTTP_CONNECTCODE)
    wasReady = handle.offset(CURLINFO_PRETRANSFER_TIME_T) > 0
    elapsed = handle.offset(CURLINFO_TOTAL_TIME_T) / 1000
    timeout = exchange.exchange.request.timeout
  }

  var error: TransferError {
    // A refused CONNECT is a receive error for libcurl.
    if proxyStatus >= 300 {
      return TransferError(.connect, "the proxy refuses to connect to \(host): status \(proxyStatus)")
    }
    switch code {
    case CURLE_COULDNT_RESOLVE_HOST: return TransferError(.resolve, "cannot find the address of \(host)")
    case CURLE_COULDNT_RESOLVE_PROXY: return TransferError(.resolve, "cannot find the address of the proxy for \(host)")
    case CURLE_COULDNT_CONNECT: return connect
    case CURLE_PROXY: return TransferError(.connect, "the proxy does not connect to \(host)")
    case CURLE_OPERATION_TIMEDOUT: return timedOut
    case CURLE_PARTIAL_FILE, CURLE_GOT_NOTHING:
      return TransferError(.interrupted, "\(host) closed the connection before its answer was complete")
    case CURLE_SEND_ERROR, CURLE_RECV_ERROR: return interrupted
    case CURLE_SSL_CONNECT_ERROR where isInterruptedHandshake: return interrupted
    case CURLE_SSL_CACERT_BADFILE: return unreadableAuthorities
    case _ where Self.quotesDetail(code): return untrusted
    default: return other
    }
  }

  private static let encryption: Set<UInt32> = Set(
    [
      CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER,
      CURLE_SSL_ENGINE_NOTFOUND, CURLE_SSL_ENGINE_SETFAILED, CURLE_SSL_ENGINE_INITFAILED, CURLE_USE_SSL_FAILED,
      CURLE_SSL_SHUTDOWN_FAILED, CURLE_SSL_CRL_BADFILE, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_PINNEDPUBKEYNOTMATCH,
      CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_CLIENTCERT,
    ].map(\.rawValue))

  /// Whether libcurl's words go into the message: only those about certificates.
  static func quotesDetail(_ code: CURLcode) -> Bool { encryption.contains(code.rawValue) }

  private var connect: TransferError {
    let reason = systemError == 0 ? "" : ": \(TransferError.reason(of: systemError))"
    let place = proxy.map { "the proxy \($0) for \(host)" } ?? host
    return TransferError(.connect, "cannot connect to \(place)\(reason)")
  }

  /// `host:port` of a proxy that cannot be reached. libcurl's words name the host that it connects to:
  /// "Failed to connect to proxy.internal port 3128 after 2 ms: …".
  private var proxy: String? {
    let words = detail.split(separator: " ")
    guard settings.proxy != .none, words.count > 5, words.starts(with: ["Failed", "to", "connect", "to"]),
      words[5] == "port", let port = words.dropFirst(6).first, port.allSatisfy(\.isNumber)
    else { return nil }
    let name = words[4].contains(":") ? "[\(words[4])]" : String(words[4])
    return [name, "\(name):\(port)"].contains(host.lowercased()) ? nil : "\(name):\(port)"
  }

  /// A connection that ends during the handshake says nothing about trust.
  private var isInterruptedHandshake: Bool {
    detail.hasPrefix("OpenSSL SSL_connect:") || detail.contains("unexpected eof")
  }

  private var interrupted: TransferError {
    let reasons = [
      ("reset", "connection reset by peer"), ("Broken pipe", "broken pipe"), ("eof", "it ended too early"),
    ]
    let reason = reasons.first { detail.contains($0.0) }.map { ": \($0.1)" } ?? ""
    return TransferError(.interrupted, "the connection to \(host) was interrupted\(reason)")
  }

  private var timedOut: TransferError {
    // libcurl measures both with clocks that differ a little.
    if let timeout, elapsed + 20 >= timeout {
      return TransferError(.timeout, "\(host) did not complete its answer within \(Self.seconds(timeout))")
    }
    guard wasReady else {
      return TransferError(.connect, "cannot connect to \(host) within \(Self.seconds(settings.connectTimeout))")
    }
    return TransferError(.timeout, "no byte went to or came from \(host) for \(Self.seconds(settings.stallLimit))")
  }

  private var unreadableAuthorities: TransferError {
    let path = settings.caFile ?? settings.caPath ?? "of the system"
    return TransferError(.tls, "cannot read the certificate authorities \(path)")
  }

  private var untrusted: TransferError {
    var reason = detail
    for prefix in ["SSL certificate problem: ", "SSL: "] where reason.hasPrefix(prefix) {
      reason.removeFirst(prefix.count)
    }
    // OpenSSL's form: `error:0A00010B:SSL routines::wrong version number`.
    if reason.hasPrefix("error:"), let colons = reason.ranges(of: "::").last {
      reason = String(reason[colons.upperBound...])
    }
    let suffix = reason.isEmpty ? "" : ": \(reason)"
    return TransferError(.tls, "no trusted encrypted connection to \(host)\(suffix)")
  }

  private var other: TransferError {
    if code == CURLE_URL_MALFORMAT || code == CURLE_LOGIN_DENIED {
      return TransferError(.other, "the URL of \(host) is not valid")
    }
    if code == CURLE_UNSUPPORTED_PROTOCOL, detail.contains("HTTP/0.9") {
      return TransferError(.other, "\(host) does not answer in HTTP")
    }
    // Not libcurl's detail, which may contain a proxy's password.
    let reason = String(cString: curl_easy_strerror(code))
    return TransferError(
      .other, "the exchange with \(host) failed: \(reason.prefix(1).lowercased())\(reason.dropFirst())")
  }

  private static func seconds(_ milliseconds: Int64) -> String {
    milliseconds % 1000 == 0 ? "\(milliseconds / 1000) s" : "\(milliseconds) ms"
  }
}
