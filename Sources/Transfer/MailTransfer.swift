import CCurl
import Glibc

/// How a server takes mail.
package struct MailServer: Sendable, Hashable {
  package enum Encryption: Sendable, Hashable {
    /// From the first byte on (`smtps`).
    case implicit
    /// After STARTTLS, which the server must offer.
    case startTLS
    /// For this machine only.
    case none
  }

  /// A name, or an address without brackets.
  package var host: String
  package var port: Int
  package var encryption: Encryption
  package var user: String?
  package var password: String?
  /// As ``TransferSettings/caFile``.
  package var caFile: String?
  /// Milliseconds for the whole transfer.
  package var timeout: Int64 = 10_000

  package init(host: String, port: Int, encryption: Encryption) {
    (self.host, self.port, self.encryption) = (host, port, encryption)
  }
}

/// One message to an SMTP server, by libcurl on the caller's thread.
package enum MailTransfer {
  /// Blocks until the server has accepted the message, or the time limit is reached.
  ///
  /// - Parameters:
  ///   - sender: the address of the envelope, without angle brackets.
  ///   - recipients: likewise; at least one.
  ///   - isStopped: asked about once a second; if true, the transfer ends.
  /// - Returns: the server's last reply, such as `250 OK`.
  /// - Throws: ``MailRefusal`` if the server refuses the message; else ``TransferError``.
  package static func send(
    _ message: [UInt8], from sender: String, to recipients: [String], by server: MailServer,
    isStopped: @escaping @Sendable () -> Bool = { false }
  ) throws -> String {
    guard let handle = EasyHandle() else { throw TransferError.noMemory }
    let context = Context(message, isStopped)
    var settings = TransferSettings(version: "")
    settings.caFile = server.caFile
    settings.connectTimeout = server.timeout
    let code = withExtendedLifetime(context) { () -> CURLcode in
      configure(handle, context, server, settings)
      handle.set(CURLOPT_MAIL_FROM, "<\(sender)>")
      handle.set(CURLOPT_MAIL_RCPT, lines: recipients.map { "<\($0)>" })
      guard handle.refusal == CURLE_OK else { return handle.refusal }
      return withoutPipeSignal { curl_easy_perform(handle.pointer) }
    }
    let reply = context.lastReply
    guard code != CURLE_OK else { return reply }
    if code == CURLE_ABORTED_BY_CALLBACK { throw TransferError.stopped }
    throw failure(code, handle, server, settings, reply)
  }

  private static func configure(
    _ handle: EasyHandle, _ context: Context, _ server: MailServer, _ settings: TransferSettings
  ) {
    let scheme = server.encryption == .implicit ? "smtps" : "smtp"
    let host = server.host.contains(":") ? "[\(server.host)]" : server.host
    // The path is the name that the client gives itself; without one, libcurl asks the system.
    handle.set(CURLOPT_URL, "\(scheme)://\(host):\(server.port)")
    handle.allowMailOnly()
    handle.closeSocketsOnExec()
    handle.set(CURLOPT_PROXY, "")
    let usesTLS = server.encryption == .none ? CURLUSESSL_NONE : CURLUSESSL_ALL
    handle.set(CURLOPT_USE_SSL, Int(usesTLS.rawValue))
    ExchangeOptions.setTrust(settings, handle)
    if let user = server.user {
      handle.set(CURLOPT_USERNAME, user)
      handle.set(CURLOPT_PASSWORD, server.password ?? "")
    }
    handle.set(CURLOPT_UPLOAD, true)
    handle.set(CURLOPT_INFILESIZE_LARGE, offset: Int64(context.message.count))
    handle.set(CURLOPT_READFUNCTION, Context.read)
    handle.set(CURLOPT_READDATA, context: context.pointer)
    handle.set(CURLOPT_HEADERFUNCTION, Context.reply)
    handle.set(CURLOPT_HEADERDATA, context: context.pointer)
    handle.set(CURLOPT_NOPROGRESS, false)
    handle.set(progress: Context.progress)
    handle.set(CURLOPT_XFERINFODATA, context: context.pointer)
    handle.set(CURLOPT_NOSIGNAL, true)
    handle.set(CURLOPT_CONNECTTIMEOUT_MS, Int(max(1, server.timeout)))
    handle.set(CURLOPT_TIMEOUT_MS, Int(max(1, server.timeout)))
    handle.prefer(CURLOPT_QUICK_EXIT, 1)
  }

  private static func failure(
    _ code: CURLcode, _ handle: EasyHandle, _ server: MailServer, _ settings: TransferSettings, _ reply: String
  ) -> any Error {
    let place = "\(server.host):\(server.port)"
    let status = handle.long(CURLINFO_RESPONSE_CODE)
    if code == CURLE_LOGIN_DENIED {
      return MailRefusal(status: status, message: "\(place) does not accept the user and the password", reply: reply)
    }
    if code == CURLE_USE_SSL_FAILED {
      return TransferError(.tls, "\(place) does not offer encryption (STARTTLS)")
    }
    if status >= 400 { return MailRefusal(status: status, message: "\(place) refuses the message", reply: reply) }
    var failure = TransferFailure(code: code, host: place, settings: settings)
    failure.detail = handle.detail
    failure.systemError = Int32(truncatingIfNeeded: handle.long(CURLINFO_OS_ERRNO))
    failure.wasReady = handle.offset(CURLINFO_PRETRANSFER_TIME_T) > 0
    failure.elapsed = handle.offset(CURLINFO_TOTAL_TIME_T) / 1000
    failure.timeout = server.timeout
    return failure.error
  }

  /// OpenSSL's writes to a closed connection must not end the process.
  private static func withoutPipeSignal<Result>(_ body: () -> Result) -> Result {
    var (pipe, before) = (sigset_t(), sigset_t())
    sigemptyset(&pipe)
    sigaddset(&pipe, SIGPIPE)
    pthread_sigmask(SIG_BLOCK, &pipe, &before)
    defer {
      // A signal that came meanwhile would arrive when the mask is restored.
      var now = timespec()
      if sigismember(&before, SIGPIPE) == 0 { while sigtimedwait(&pipe, nil, &now) > 0 {} }
      pthread_sigmask(SIG_SETMASK, &before, nil)
    }
    return body()
  }
}

/// A server refused a message.
package struct MailRefusal: Error, Sendable {
  /// The status of the reply, such as 550; from 500 on, another try has the same result.
  package let status: Int
  /// For people, without secrets.
  package let message: String
  /// The server's reply.
  package let reply: String
}

/// The message and the replies of one transfer. Belongs to the thread that transfers.
private final class Context {
  let message: [UInt8]
  private var position = 0
  private let isStopped: @Sendable () -> Bool
  private(set) var lastReply = ""

  init(_ message: [UInt8], _ isStopped: @escaping @Sendable () -> Bool) {
    (self.message, self.isStopped) = (message, isStopped)
  }

  /// Valid as long as the caller keeps this object.
  var pointer: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }

  private func fill(_ buffer: UnsafeMutableRawBufferPointer) -> Int {
    let count = min(buffer.count, message.count - position)
    message.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[position...].prefix(count))) }
    position += count
    return count
  }

  /// A reply may be any bytes, of any length.
  private func record(_ line: UnsafeRawBufferPointer) {
    let text = String(decoding: line.prefix(300), as: UTF8.self)
    let trimmed = text.filter { !$0.isNewline }
    // The reply to QUIT says nothing about the message.
    if !trimmed.isEmpty, !trimmed.hasPrefix("221") { lastReply = trimmed }
  }

  static let read: ccurl_data_function = { buffer, size, count, context in
    object(context).fill(UnsafeMutableRawBufferPointer(start: buffer, count: size * count))
  }

  static let reply: ccurl_data_function = { bytes, size, count, context in
    object(context).record(UnsafeRawBufferPointer(start: bytes, count: size * count))
    return size * count
  }

  static let progress: ccurl_progress_function = { context, _, _, _, _ in object(context).isStopped() ? 1 : 0 }

  private static func object(_ context: UnsafeMutableRawPointer?) -> Context {
    Unmanaged<Context>.fromOpaque(context!).takeUnretainedValue()
  }
}
