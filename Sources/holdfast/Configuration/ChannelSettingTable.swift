import BackupPolicy

/// The settings of one channel of messages, by their names in a `[[notify]]` table.
enum ChannelKey: String, CaseIterable, TableKey {
  case type
  case name
  case url
  case urlFile = "url_file"
  case to
  case from
  case user
  case passwordFile = "password_file"
  case secretFile = "secret_file"
  case topic
  case tokenFile = "token_file"
  case command
  case report
  case caFile = "ca_file"

  var name: String { rawValue }

  var definition: ChannelSettingDefinition { ChannelSettingTable.row(self) }

  static func named(_ name: String) -> ChannelKey? { ChannelKey(rawValue: name) }
}

/// The form of the messages of a channel.
enum ChannelType: String, CaseIterable, Sendable {
  case email
  case webhook
  case ntfy
  case slack
  case discord
  case command

  /// The settings that it needs; one of each group.
  var needed: [[ChannelKey]] {
    switch self {
    case .email: [[.url], [.to]]
    case .webhook: [[.url, .urlFile]]
    case .ntfy: [[.topic]]
    case .slack, .discord: [[.urlFile]]
    case .command: [[.command]]
    }
  }

  /// The settings that it knows besides the name and the time of the report.
  var known: Set<ChannelKey> {
    switch self {
    case .email: [.url, .to, .from, .user, .passwordFile, .caFile]
    case .webhook: [.url, .urlFile, .secretFile, .caFile]
    case .ntfy: [.url, .topic, .tokenFile, .caFile]
    case .slack, .discord: [.urlFile, .caFile]
    case .command: [.command]
    }
  }
}

typealias ChannelSettingDefinition = TableSettingDefinition<ChannelKey>

/// The table of a channel's settings. Files, `config show`, the example file and the documentation
/// follow from the rows, as those of ``SettingTable`` do.
enum ChannelSettingTable {
  static let rows: [ChannelSettingDefinition] = [
    .init(
      .type, .choice(ChannelType.allCases.map(\.rawValue)), .words("none, it is required"),
      "The form of the messages: email, webhook, ntfy, slack, discord or command",
      because: "each receiver knows one form", example: "email"),
    .init(
      .name, .label, .words("the type"), "The name of the channel in commands and messages",
      because: "two channels of one type need two names", example: "ops"),
    .init(
      .url, .channelAddress, .words("`https://ntfy.sh` for ntfy; else required, here or in `url_file`"),
      "The server: smtp://host:587 or smtps://host:465 for email, an https:// URL otherwise",
      because: "only you know the server", example: "smtp://mail.example.com:587"),
    .init(
      .urlFile, .path, .words("none"),
      "A file whose first line is the URL, which is a secret for slack and discord",
      because: "whoever knows the URL of a chat can write to it", example: "/etc/holdfast/slack-url"),
    .init(
      .to, .mailAddresses, .words("none, it is required for email"),
      "The receivers of mail; several: an array, or commas between them",
      because: "only you know who has to act", example: "ops@example.com"),
    .init(
      .from, .mailAddresses, .words("the first receiver"), "The sender of mail",
      because: "most servers accept the address of their own user", example: "holdfast@example.com"),
    .init(
      .user, .text, .words("none"), "The user at the mail server",
      because: "a server on this machine asks for none", example: "holdfast@example.com"),
    .init(
      .passwordFile, .path, .words("none"), "A file whose first line is the password of the user",
      because: "a password does not belong in this file", example: "/etc/holdfast/mail-password"),
    .init(
      .secretFile, .path, .words("none: webhooks are not signed"),
      "A file whose first line is the secret that signs webhooks, such as whsec_ and Base64",
      because: "a receiver that anybody can reach needs it", example: "/etc/holdfast/webhook-secret"),
    .init(
      .topic, .text, .words("none, it is required for ntfy"), "The topic at the ntfy server",
      because: "whoever knows a topic of ntfy.sh can read it; choose one that nobody guesses",
      example: "holdfast-k3q9x"),
    .init(
      .tokenFile, .path, .words("none"), "A file whose first line is the access token of the ntfy server",
      because: "topics may be open", example: "/etc/holdfast/ntfy-token"),
    .init(
      .command, .arguments, .words("none, it is required for command"),
      "A program and its arguments, as an array; it gets the message as JSON on its standard input",
      because: "it reaches all that the other types do not", example: "/usr/local/bin/page-me"),
    .init(
      .report, .timeOfDay, .words("none: there is no report"),
      "The time of the day at which a report is sent, also if all is well, such as 08:00",
      because: "a message that needs no action is soon not read any more", example: "08:00"),
    .init(
      .caFile, .path, .words("the system's"),
      "A PEM file of the certificate authorities to trust instead of the system's",
      because: "public servers have certificates that each system trusts", example: "/etc/holdfast/ca.pem"),
  ]

  private static let byKey = Dictionary(uniqueKeysWithValues: rows.map { ($0.key, $0) })

  static func row(_ key: ChannelKey) -> ChannelSettingDefinition {
    guard let row = byKey[key] else { preconditionFailure("the setting \(key.name) of a channel has no row") }
    return row
  }
}
