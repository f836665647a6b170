import BackupEngine
import BackupPolicy
import Names
import Transfer
import Wording

/// The HTTP request of a message, in the form that each kind of receiver knows.
struct WebRequest {
  /// Milliseconds for one attempt.
  static let timeout: Int64 = 10_000

  var url: String
  var body: [UInt8]
  var headers: [(name: String, value: String)] = [("Content-Type", "application/json")]
  /// A part of the body that only the receiver may know.
  var secret: String?

  var request: HTTPRequest { HTTPRequest(.post, url, headers: headers, body: .bytes(body), timeout: Self.timeout) }

  /// Signed as Standard Webhooks does, and as GitHub does. The secret is the text after `whsec_` as
  /// Base64, or the bytes of the file.
  ///
  /// Source: standardwebhooks.com, "Signature scheme"; GitHub, "Validating webhook deliveries".
  static func webhook(_ message: ChannelMessage, url: String, secret: [UInt8]?, at now: Timestamp) throws -> WebRequest
  {
    var request = WebRequest(url: url, body: message.json)
    let stamp = "\(now.milliseconds.flooredSeconds)"
    request.headers += [("webhook-id", message.id), ("webhook-timestamp", stamp)]
    guard let secret else { return request }
    let key = SecretBytes(key(of: secret))
    let signed = Array("\(message.id).\(stamp).".utf8) + request.body
    let signature = try key.authenticationCode(of: signed).base64Text
    let plain = try key.authenticationCode(of: request.body).hexText
    request.headers += [("webhook-signature", "v1,\(signature)"), ("X-Hub-Signature-256", "sha256=\(plain)")]
    return request
  }

  private static func key(of secret: [UInt8]) -> [UInt8] {
    let text = String(decoding: secret, as: UTF8.self)
    guard text.hasPrefix("whsec_"), let key = [UInt8](base64: String(text.dropFirst(6))), !key.isEmpty else {
      return secret
    }
    return key
  }

  /// Source: docs.ntfy.sh, "Publish as JSON".
  static func ntfy(_ message: ChannelMessage, url: String, topic: String, token: String?) -> WebRequest {
    let isUrgent = !message.isTest && [.alarm, .change, .reminder].contains(message.notice.kind)
    let tag =
      switch message.notice.kind {
      case .alarm, .change, .reminder: "rotating_light"
      case .recovery: "white_check_mark"
      case .report: "information_source"
      }
    let body = JSONValue.object([
      "topic": .string(topic), "title": .string(message.subject), "message": .string(limited(message.text.plain, 3500)),
      "priority": .integer(isUrgent ? 4 : 3), "tags": .array([.string(tag)]),
    ])
    var request = WebRequest(url: url, body: body.encodedLine())
    // On a public server everyone who knows the topic can read the messages.
    request.secret = topic
    if let token { request.headers.append(("Authorization", "Bearer \(token)")) }
    return request
  }

  /// Source: api.slack.com, "Incoming webhooks"; `&`, `<` and `>` are the characters with a meaning.
  static func slack(_ message: ChannelMessage, url: String) -> WebRequest {
    let text = limited(chat(message), 3500)
      .replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
    return WebRequest(url: url, body: JSONValue.object(["text": .string(text)]).encodedLine())
  }

  /// Source: discord.com/developers, "Execute Webhook": at most 2,000 characters. It mentions no
  /// user, whatever a database is called.
  static func discord(_ message: ChannelMessage, url: String) -> WebRequest {
    let body = JSONValue.object([
      "content": .string(limited(chat(message), 2000)), "allowed_mentions": .object(["parse": .array([])]),
    ])
    return WebRequest(url: url, body: body.encodedLine())
  }

  private static func chat(_ message: ChannelMessage) -> String { "\(message.subject)\n\n\(rest(message))" }

  /// The text without its first line, which the subject has.
  private static func rest(_ message: ChannelMessage) -> String {
    String(message.text.plain.dropFirst(message.text.summary.count).drop { $0 == "\n" })
  }

  /// At most this many UTF-16 units, as JavaScript counts characters.
  static func limited(_ text: String, _ count: Int) -> String {
    guard text.utf16.count > count else { return text }
    var rest = text.prefix(count - 1)
    while rest.utf16.count > count - 1 { rest.removeLast() }
    return rest + "…"
  }
}

extension Int64 {
  /// Whole seconds of milliseconds.
  fileprivate var flooredSeconds: Int64 { self >= 0 ? self / 1000 : (self - 999) / 1000 }
}
