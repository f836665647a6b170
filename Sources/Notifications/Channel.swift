import BackupEngine
import BackupPolicy
import Transfer

/// A place to which messages about alarms go.
package struct Channel: Sendable, Hashable {
  package enum Kind: Sendable, Hashable {
    case mail(Mail)
    /// JSON, signed if there is a secret.
    case webhook(url: Secret, secret: SecretFile?)
    /// - topic: one of the server at the URL.
    case ntfy(url: Secret, topic: String, token: SecretFile?)
    case slack(url: Secret)
    case discord(url: Secret)
    /// A program and its arguments.
    case command([String])
  }

  /// E-mail by SMTP.
  package struct Mail: Sendable, Hashable {
    package var server: MailServer
    package var sender: String
    package var recipients: [String]
    package var password: SecretFile?

    package init(server: MailServer, sender: String, recipients: [String], password: SecretFile? = nil) {
      (self.server, self.sender, self.recipients, self.password) = (server, sender, recipients, password)
    }
  }

  /// Text that may contain a secret, such as the URL of a chat.
  package enum Secret: Sendable, Hashable {
    case text(String)
    case file(SecretFile)

    /// - Throws: `keyMissing` if a file cannot be used.
    package func read() throws -> String {
      switch self {
      case .text(let text): text
      case .file(let file): try file.text()
      }
    }
  }

  package var name: String
  package var kind: Kind
  package var settings: NotificationSettings
  /// As ``TransferSettings/caFile``.
  package var caFile: String?

  package init(name: String, kind: Kind, settings: NotificationSettings = NotificationSettings(), caFile: String? = nil)
  {
    (self.name, self.kind, self.settings, self.caFile) = (name, kind, settings, caFile)
  }
}

/// A file whose first line is a secret. It is read for each message, so that a new secret counts at
/// once.
package struct SecretFile: Sendable, Hashable {
  package var path: String

  package init(_ path: String) { self.path = path }

  /// - Throws: `keyMissing` if the file cannot be used.
  package func bytes() throws -> [UInt8] {
    guard let content = try SystemFileOperations().contents(path, limit: 1 << 16) else {
      throw HoldfastError(.keyMissing, "there is no file \(path)", hint: "check the path")
    }
    let line = content.prefix { $0 != UInt8(ascii: "\n") }.filter { $0 != UInt8(ascii: "\r") }
    guard !line.isEmpty else {
      throw HoldfastError(.keyMissing, "the first line of \(path) is empty", hint: "write the secret into it")
    }
    return Array(line)
  }

  package func text() throws -> String { String(decoding: try bytes(), as: UTF8.self) }
}

extension Channel {
  /// The word for its kind, as the setting `type` has it.
  package var type: String {
    switch kind {
    case .mail: "email"
    case .webhook: "webhook"
    case .ntfy: "ntfy"
    case .slack: "slack"
    case .discord: "discord"
    case .command: "command"
    }
  }

  /// The receiver of its messages, without secrets.
  package var place: String {
    switch kind {
    case .mail(let mail): "\(mail.recipients.joined(separator: ", ")) by \(mail.server.host):\(mail.server.port)"
    case .webhook(let url, _), .ntfy(let url, _, _), .slack(let url), .discord(let url):
      (try? url.read()).map(WebAddress.host) ?? "an unknown server"
    case .command(let words): words.first ?? ""
    }
  }
}

/// The parts of a URL.
enum WebAddress {
  /// The server, without the path, which may be a secret.
  static func host(of url: String) -> String {
    let rest = url.firstRange(of: "://").map { url[$0.upperBound...] } ?? url[...]
    let authority = rest.prefix { !"/?#".contains($0) }
    return String(authority.split(separator: "@").last ?? authority)
  }
}
