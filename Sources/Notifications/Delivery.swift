import BackupEngine
import BackupPolicy
import Glibc
import Names
import Transfer

/// Sends messages through channels. Each call blocks; the callers have threads for it.
package struct Delivery: Sendable {
  private let loop: TransferLoop
  private let progress: Progress
  private let now: @Sendable () -> Timestamp

  /// A message is tried again after so many milliseconds.
  private static let pauses: [Int64] = [10_000, 20_000]

  /// - Parameter progress: its `stop()` ends all calls soon.
  package init(_ progress: Progress, now: @escaping @Sendable () -> Timestamp = SystemClock.now) {
    let loop = TransferLoop(name: "notify")
    (self.loop, self.progress, self.now) = (loop, progress, now)
    // On a thread of its own: it waits for the loop's thread.
    progress.onStop { loop.stop() }
  }

  /// Tries up to three times within a minute, unless another try cannot have another result.
  ///
  /// - Returns: the answer of the other side.
  /// - Throws: `HoldfastError`
  package func deliver(_ message: ChannelMessage, through channel: Channel) throws -> String {
    for pause in Self.pauses {
      do {
        return try attempt(message, through: channel)
      } catch let failure as DeliveryFailure where failure.mayPass {
        try wait(pause)
      } catch {
        throw Self.error(error)
      }
    }
    do {
      return try attempt(message, through: channel)
    } catch {
      throw Self.error(error)
    }
  }

  /// Tries once.
  ///
  /// - Throws: `HoldfastError`
  package func deliverOnce(_ message: ChannelMessage, through channel: Channel) throws -> String {
    do {
      return try attempt(message, through: channel)
    } catch {
      throw Self.error(error)
    }
  }

  private static func error(_ error: any Error) -> HoldfastError {
    (error as? DeliveryFailure)?.error ?? error as? HoldfastError ?? HoldfastError(.failed, "\(error)")
  }

  private func wait(_ milliseconds: Int64) throws {
    let end = SystemClock.monotonic() + milliseconds
    while SystemClock.monotonic() < end {
      try progress.check()
      usleep(100_000)
    }
  }

  private func attempt(_ message: ChannelMessage, through channel: Channel) throws -> String {
    switch channel.kind {
    case .mail(let mail): return try send(message, by: mail, caFile: channel.caFile)
    case .webhook(let url, let secret):
      return try post(.webhook(message, url: url.read(), secret: secret?.bytes(), at: now()), channel.caFile)
    case .ntfy(let url, let topic, let token):
      return try post(.ntfy(message, url: url.read(), topic: topic, token: token?.text()), channel.caFile)
    case .slack(let url): return try post(.slack(message, url: url.read()), channel.caFile)
    case .discord(let url): return try post(.discord(message, url: url.read()), channel.caFile)
    case .command(let words):
      let variables = [("HOLDFAST_MESSAGE_ID", message.id), ("HOLDFAST_SUMMARY", message.text.summary)]
      let output = try CommandHook(words: words).run(message.json, variables: variables, progress)
      return output.isEmpty ? "ended with exit status 0" : output
    }
  }

  private func send(_ message: ChannelMessage, by mail: Channel.Mail, caFile: String?) throws -> String {
    var server = mail.server
    server.password = try mail.password?.text()
    server.caFile = caFile
    let bytes = MailMessage(message: message, sender: mail.sender, recipients: mail.recipients).bytes
    do {
      return try MailTransfer.send(bytes, from: mail.sender, to: mail.recipients, by: server) { [progress] in
        (try? progress.check()) == nil
      }.printable
    } catch let refusal as MailRefusal {
      let reply = refusal.reply.isEmpty ? "" : ": \(refusal.reply.printable)"
      throw DeliveryFailure(HoldfastError(.failed, refusal.message + reply), mayPass: refusal.status < 500)
    } catch let failure as TransferError {
      throw DeliveryFailure(HoldfastError(.failed, failure.message), mayPass: !failure.isLasting)
    }
  }

  private func post(_ request: WebRequest, _ caFile: String?) throws -> String {
    try exchange(request.request, caFile, secret: request.secret)
  }

  /// - Parameter secret: in the body of the request.
  /// - Throws: ``DeliveryFailure``, also for an answer that is no success.
  func exchange(_ request: HTTPRequest, _ caFile: String?, secret: String? = nil) throws -> String {
    var settings = TransferSettings(version: holdfastVersion)
    (settings.caFile, settings.connectTimeout) = (caFile, WebRequest.timeout)
    let host = WebAddress.host(of: request.url)
    let response: HTTPResponse
    do {
      response = try loop.perform(request, into: .memory(limit: 1 << 16), settings)
    } catch {
      throw DeliveryFailure(HoldfastError(.failed, error.message), mayPass: !error.isLasting)
    }
    let text = RequestSecrets(of: request, and: secret).removed(from: response.body)
    let body = String(decoding: text, as: UTF8.self).printable.shortened(toBytes: 200)
    let answer = "\(response.status)\(body.isEmpty ? "" : " \(body)")"
    guard response.status / 100 != 2 else { return answer }
    let isRedirect = response.status / 100 == 3
    throw DeliveryFailure(
      HoldfastError(
        .failed, "\(host) answers \(answer)",
        hint: isRedirect ? "redirects are not followed: set the url of the place itself" : nil),
      mayPass: response.status >= 500 || [408, 425, 429].contains(response.status))
  }
}

/// A message was not accepted.
struct DeliveryFailure: Error {
  let error: HoldfastError
  /// Another try may have another result.
  let mayPass: Bool

  init(_ error: HoldfastError, mayPass: Bool) { (self.error, self.mayPass) = (error, mayPass) }
}

extension TransferError {
  /// Another try has the same result.
  fileprivate var isLasting: Bool {
    switch kind {
    case .tls, .cancelled, .localFile, .tooLarge: true
    case .resolve, .connect, .interrupted, .timeout, .other: false
    }
  }
}
