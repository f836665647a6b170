import CCurl
import Glibc

/// libcurl's options for an exchange.
enum ExchangeOptions {
  /// libcurl's default of 64 KiB needs eight times as many calls.
  static let sendBuffer = 512 << 10
  static let receiveBuffer = 64 << 10

  /// Returns an error if the request or a setting cannot be used.
  static func apply(to exchange: ActiveExchange) -> TransferError? {
    let (request, settings, handle) = (exchange.exchange.request, exchange.exchange.settings, exchange.handle)
    guard let headers = headers(of: request, bodyLength: exchange.body.length, settings) else {
      return TransferError(.other, "a header of the request contains a control character")
    }
    // libcurl would end the text at a NUL.
    guard !request.url.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7f }) else {
      return TransferFailure(CURLE_URL_MALFORMAT, of: exchange).error
    }
    handle.set(CURLOPT_HTTPHEADER, lines: headers)
    setCalls(exchange)
    setRequest(request, bodyLength: exchange.body.length, handle)
    setProtocol(settings, handle)
    setTrust(settings, handle)
    setProxy(settings, handle)
    setLimits(request, settings, handle)
    guard handle.refusal == CURLE_OK else {
      return TransferError(.other, "libcurl refused a setting: \(String(cString: curl_easy_strerror(handle.refusal)))")
    }
    return nil
  }

  private static func setCalls(_ exchange: ActiveExchange) {
    let handle = exchange.handle
    handle.set(CURLOPT_READFUNCTION, ActiveExchange.read)
    handle.set(CURLOPT_READDATA, context: exchange.context)
    handle.set(CURLOPT_WRITEFUNCTION, ActiveExchange.write)
    handle.set(CURLOPT_WRITEDATA, context: exchange.context)
    handle.set(CURLOPT_HEADERFUNCTION, ActiveExchange.head)
    handle.set(CURLOPT_HEADERDATA, context: exchange.context)
    handle.set(seek: ActiveExchange.seek)
    handle.set(CURLOPT_SEEKDATA, context: exchange.context)
    handle.set(CURLOPT_SUPPRESS_CONNECT_HEADERS, true)
  }

  private static func setRequest(_ request: HTTPRequest, bodyLength: Int64, _ handle: EasyHandle) {
    handle.set(CURLOPT_URL, request.url)
    // Keys of objects may contain `/../`.
    handle.set(CURLOPT_PATH_AS_IS, true)
    handle.set(CURLOPT_DISALLOW_USERNAME_IN_URL, true)
    if request.method == .put || request.method == .post || bodyLength > 0 {
      handle.set(CURLOPT_UPLOAD, true)
      handle.set(CURLOPT_INFILESIZE_LARGE, offset: bodyLength)
      handle.set(CURLOPT_UPLOAD_BUFFERSIZE, sendBuffer)
    } else {
      handle.set(request.method == .head ? CURLOPT_NOBODY : CURLOPT_HTTPGET, true)
    }
    if request.method != .head { handle.set(CURLOPT_CUSTOMREQUEST, request.method.rawValue) }
  }

  private static func setProtocol(_ settings: TransferSettings, _ handle: EasyHandle) {
    handle.allowWebOnly()
    handle.closeSocketsOnExec()
    handle.set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
    handle.set(CURLOPT_FOLLOWLOCATION, false)
    handle.set(CURLOPT_USERAGENT, "holdfast/\(settings.version)")
    handle.set(CURLOPT_BUFFERSIZE, receiveBuffer)
    // libcurl must not use signals, and must not wait for a slow name server if the exchange ends
    // before it.
    handle.set(CURLOPT_NOSIGNAL, true)
    handle.prefer(CURLOPT_QUICK_EXIT, 1)
  }

  /// The check of certificates and names is libcurl's default; it is set so that it stays.
  static func setTrust(_ settings: TransferSettings, _ handle: EasyHandle) {
    handle.set(CURLOPT_SSL_VERIFYPEER, true)
    handle.set(CURLOPT_SSL_VERIFYHOST, 2)
    handle.set(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
    handle.prefer(CURLOPT_PROXY_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
    // Connections share the parsed authorities for this number of seconds, so a new file counts
    // after it.
    handle.prefer(CURLOPT_CA_CACHE_TIMEOUT, 600)
    if settings.caFile != nil || settings.caPath != nil {
      // A given authority replaces the system's: both are set, so that neither keeps its default.
      setAuthorities(settings.caFile, settings.caPath, handle)
    } else if let systemFile {
      setAuthorities(systemFile, nil, handle)
    }
  }

  private static func setAuthorities(_ file: String?, _ path: String?, _ handle: EasyHandle) {
    handle.set(CURLOPT_CAINFO, file)
    handle.set(CURLOPT_CAPATH, path)
    handle.prefer(CURLOPT_PROXY_CAINFO, file)
    handle.prefer(CURLOPT_PROXY_CAPATH, path)
  }

  /// The system's authorities in one file. libcurl shares what it parsed only if there is no folder
  /// beside the file; else each connection parses the file again, in 50 ms, and keeps 1 MB.
  private static let systemFile: String? = {
    guard let path = ccurl_default_authorities(), access(path, R_OK) == 0 else { return nil }
    return String(cString: path)
  }()

  private static func setProxy(_ settings: TransferSettings, _ handle: EasyHandle) {
    switch settings.proxy {
    case .environment: break
    case .none: handle.set(CURLOPT_PROXY, "")
    case .url(let url, let except):
      handle.set(CURLOPT_PROXY, url)
      handle.set(CURLOPT_NOPROXY, except)
    }
  }

  private static func setLimits(_ request: HTTPRequest, _ settings: TransferSettings, _ handle: EasyHandle) {
    handle.set(CURLOPT_CONNECTTIMEOUT_MS, Int(max(1, settings.connectTimeout)))
    handle.set(CURLOPT_LOW_SPEED_LIMIT, 1)
    handle.set(CURLOPT_LOW_SPEED_TIME, Int(max(1, (settings.stallLimit + 999) / 1000)))
    if let timeout = request.timeout { handle.set(CURLOPT_TIMEOUT_MS, Int(max(1, timeout))) }
    if settings.continueTimeout > 0 {
      handle.set(CURLOPT_EXPECT_100_TIMEOUT_MS, Int(settings.continueTimeout))
    }
  }

  /// The lines of the request's head besides those that libcurl adds; nil if one is not allowed.
  private static func headers(
    of request: HTTPRequest, bodyLength: Int64, _ settings: TransferSettings
  ) -> [String]? {
    var lines = ["Accept-Encoding: identity"]
    // libcurl adds `Expect` to all bodies, and `Accept` to all requests; a name without a value
    // removes them. A small body is quicker sent than asked about.
    if settings.continueTimeout <= 0 || bodyLength <= 1 << 20 { lines.append("Expect:") }
    if !request.headers.contains(where: { $0.name.lowercased() == "accept" }) { lines.append("Accept:") }
    for (name, value) in request.headers {
      guard !"\(name)\(value)".unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7f }) else {
        return nil
      }
      // libcurl's form of a header without a value.
      lines.append(value.isEmpty ? "\(name);" : "\(name): \(value)")
    }
    return lines
  }
}
