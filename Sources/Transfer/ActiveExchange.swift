import CCurl

/// An exchange that libcurl performs, and the functions that libcurl calls for it. Belongs to the
/// loop's thread.
final class ActiveExchange {
  typealias ID = TransferPacer.ID

  let id: ID
  let exchange: Exchange
  let handle: EasyHandle
  var origin: String { exchange.server.origin }
  private let pacing: Pacing
  private(set) var body: BodyReader
  private var response: ResponseReader
  /// The exchange had begun before, on a connection that was of no use.
  private let isSecondTry: Bool
  private var isSendingPaused = false
  private var isReceivingPaused = false
  /// Why a function of ours ended the exchange.
  private var failure: TransferError?
  /// The rest of the answer is not wanted.
  private var isEnough = false

  init(_ id: ID, _ exchange: Exchange, _ handle: EasyHandle, _ pacing: Pacing, isSecondTry: Bool) {
    (self.id, self.exchange, self.handle, self.pacing) = (id, exchange, handle, pacing)
    self.isSecondTry = isSecondTry
    body = BodyReader(exchange.request.body)
    response = ResponseReader(exchange.sink)
  }

  /// - Parameter code: libcurl's result.
  func result(_ code: CURLcode) -> Result<HTTPResponse, TransferError> {
    outcome(code).mapError { error in
      var error = error
      error.received = response.stored
      return error
    }
  }

  private func outcome(_ code: CURLcode) -> Result<HTTPResponse, TransferError> {
    if let failure { return .failure(failure) }
    // A head that ends in the middle of a line is a success for libcurl.
    if response.isHeadComplete, code == CURLE_OK || isEnough { return .success(response.response) }
    let error = TransferFailure(code == CURLE_OK ? CURLE_PARTIAL_FILE : code, of: self).error
    // A server that refuses a body may reset the connection while the rest of it is on its way.
    if case .interrupted = error.kind, body.remaining > 0, response.isHeadComplete, response.response.status >= 400 {
      return .success(response.response)
    }
    return .failure(error)
  }

  /// Whether the idle connection was of no use, so that the exchange begins again on a new one: the
  /// server had closed it, or there is a rest of the previous answer on it, which was longer than
  /// announced. libcurl begins again by itself only if it fails to read.
  func isStale(_ code: CURLcode) -> Bool {
    (code == CURLE_SEND_ERROR || code == CURLE_UNSUPPORTED_PROTOCOL) && failure == nil && !isSecondTry
      && response.response.status == 0 && handle.long(CURLINFO_NUM_CONNECTS) == 0
  }

  func resumeSending() -> CURLcode {
    isSendingPaused = false
    return resume()
  }

  func resumeReceiving() -> CURLcode {
    isReceivingPaused = false
    return resume()
  }

  /// libcurl may call ``receive(_:)`` before this returns.
  private func resume() -> CURLcode {
    let paused = (isSendingPaused ? CURLPAUSE_SEND : 0) | (isReceivingPaused ? CURLPAUSE_RECV : 0)
    return curl_easy_pause(handle.pointer, paused)
  }

  private func send(into buffer: UnsafeMutableRawBufferPointer) -> Int {
    let wanted = min(Int64(buffer.count), body.remaining)
    guard wanted > 0 else { return 0 }
    let granted = pacing.pacer.upload.grant(wanted, to: id, at: MonotonicClock.now())
    guard granted > 0 else {
      isSendingPaused = true
      return Int(CURL_READFUNC_PAUSE)
    }
    return attempt(Int(CURL_READFUNC_ABORT)) { () throws(TransferError) in
      let count = try body.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(Int(granted))))
      exchange.request.sent?(body.position)
      return count
    }
  }

  private func receive(_ bytes: UnsafeRawBufferPointer) -> Int {
    guard pacing.pacer.download.accepts(Int64(bytes.count), for: id, at: MonotonicClock.now()) else {
      isReceivingPaused = true
      return Int(CURL_WRITEFUNC_PAUSE)
    }
    return attempt(0) { () throws(TransferError) in
      isEnough = try !response.write(bytes)
      return isEnough ? 0 : bytes.count
    }
  }

  private func receiveHead(_ line: UnsafeRawBufferPointer) -> Int {
    attempt(0) { () throws(TransferError) in
      try response.readHeadLine(line)
      return line.count
    }
  }

  private func seek(to position: Int64) -> Bool { body.seek(to: position) }

  private func attempt(_ refusal: Int, _ body: () throws(TransferError) -> Int) -> Int {
    do {
      return try body()
    } catch {
      failure = error
      return refusal
    }
  }
}

/// libcurl's calls. The context is the exchange, which the loop's thread retains until it has
/// removed the handle from libcurl; a buffer is libcurl's, and valid during the call.
extension ActiveExchange {
  var context: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }

  static let read: ccurl_data_function = { buffer, size, count, context in
    exchange(context).send(into: UnsafeMutableRawBufferPointer(start: buffer, count: size * count))
  }

  static let write: ccurl_data_function = { bytes, size, count, context in
    exchange(context).receive(UnsafeRawBufferPointer(start: bytes, count: size * count))
  }

  static let head: ccurl_data_function = { bytes, size, count, context in
    exchange(context).receiveHead(UnsafeRawBufferPointer(start: bytes, count: size * count))
  }

  static let seek: ccurl_seek_function = { context, offset, origin in
    origin == SEEK_SET && exchange(context).seek(to: Int64(offset)) ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL
  }

  private static func exchange(_ context: UnsafeMutableRawPointer?) -> ActiveExchange {
    Unmanaged<ActiveExchange>.fromOpaque(context!).takeUnretainedValue()
  }
}
