import BackupAgent
import BackupEngine
import BackupPolicy
import Notifications
import Transfer

/// A channel and the table that configures it.
struct ConfiguredChannel: Sendable {
  let channel: Channel
  let table: ChannelTable
}

/// The channels of messages: reads their tables, and finds settings that do not fit together.
struct ChannelList {
  private(set) var channels: [ConfiguredChannel] = []
  private(set) var problems: [ConfigurationProblem] = []
  private let folders: StandardFolders
  /// Of reports, and of the times in messages.
  private let zone: ZoneRules

  init(_ tables: [ChannelTable], zone: ZoneRules, folders: StandardFolders) {
    (self.zone, self.folders) = (zone, folders)
    for table in tables {
      do {
        channels.append(ConfiguredChannel(channel: try channel(table), table: table))
      } catch {
        problems.append(ConfigurationProblem(error))
      }
    }
    findCollisions()
  }

  private func channel(_ table: ChannelTable) throws -> Channel {
    guard let type = try table.text(.type).flatMap(ChannelType.init) else {
      throw problem(table, .type, "is not known", hint: "use one of \(ChannelType.allCases.map(\.rawValue))")
    }
    try requireFitting(table, type)
    let name = try table.text(.name) ?? type.rawValue
    let settings = NotificationSettings(report: try report(table), zone: zone)
    return Channel(name: name, kind: try kind(table, type), settings: settings, caFile: try path(table, .caFile))
  }

  private func kind(_ table: ChannelTable, _ type: ChannelType) throws -> Channel.Kind {
    switch type {
    case .email: .mail(try mail(table))
    case .webhook: .webhook(url: try url(table), secret: try file(table, .secretFile))
    case .ntfy:
      .ntfy(
        url: try table[.url].map { _ in try url(table) } ?? .text("https://ntfy.sh"),
        topic: try table.text(.topic) ?? "", token: try file(table, .tokenFile))
    case .slack: .slack(url: try url(table))
    case .discord: .discord(url: try url(table))
    case .command: .command(try table.texts(.command))
    }
  }

  private func requireFitting(_ table: ChannelTable, _ type: ChannelType) throws {
    for group in type.needed where !group.contains(where: { table[$0] != nil }) {
      let names = group.map(\.name).joined(separator: " or ")
      throw problem(
        table, .type, "is \(type.rawValue), which needs \(names)",
        hint: "write \(group[0].name) = \(example(group[0], type))")
    }
    let common: Set<ChannelKey> = [.type, .name, .report]
    for key in ChannelKey.allCases where table[key] != nil && !type.known.union(common).contains(key) {
      let isChat = key == .url && (type == .slack || type == .discord)
      throw problem(
        table, key,
        isChat ? "is a secret here, which does not belong in this file" : "is not a setting of type \(type.rawValue)",
        hint: isChat ? "write it into a file that url_file names" : "remove it")
    }
    if table[.url] != nil, table[.urlFile] != nil {
      throw problem(table, .urlFile, "and url are both set", hint: "remove one of them")
    }
    if table[.user] != nil, table[.passwordFile] == nil {
      throw problem(table, .user, "has no password", hint: "name a password_file")
    }
  }

  private func example(_ key: ChannelKey, _ type: ChannelType) -> String {
    let text = key == .url && type != .email ? "https://hooks.example.com/holdfast" : key.definition.example ?? ""
    return key.definition.kind.literal(text)
  }

  private func mail(_ table: ChannelTable) throws -> Channel.Mail {
    let text = try table.text(.url) ?? ""
    guard var server = MailServer(url: text) else {
      throw problem(
        table, .url, "is not the address of a mail server", hint: "write smtp://host:587 or smtps://host:465")
    }
    server.user = try table.text(.user)
    let recipients = try table.texts(.to)
    guard let sender = try table.texts(.from).first ?? recipients.first else {
      throw problem(table, .to, "is empty", hint: "name a receiver")
    }
    return Channel.Mail(
      server: server, sender: sender, recipients: recipients, password: try file(table, .passwordFile))
  }

  private func url(_ table: ChannelTable) throws -> Channel.Secret {
    if let file = try file(table, .urlFile) { return .file(file) }
    let text = try table.text(.url) ?? ""
    guard text.hasPrefix("https://") || text.hasPrefix("http://") else {
      throw problem(table, .url, "is not an https:// URL", hint: "smtp:// is for type = \"email\"")
    }
    return .text(text)
  }

  private func report(_ table: ChannelTable) throws -> CronSchedule? {
    guard let parts = try table.text(.report)?.split(separator: ":"), parts.count == 2, let hour = Int(parts[0]),
      let minute = Int(parts[1])
    else { return nil }
    return try CronSchedule("\(minute) \(hour) * * *")
  }

  private func file(_ table: ChannelTable, _ key: ChannelKey) throws -> SecretFile? {
    try path(table, key).map { SecretFile($0) }
  }

  private func path(_ table: ChannelTable, _ key: ChannelKey) throws -> String? {
    try table.text(key).map { try PathResolution(folders: folders).path($0, table.origin(key)) }
  }

  private mutating func findCollisions() {
    var seen: Set<String> = []
    for configured in channels where !seen.insert(configured.channel.name).inserted {
      problems.append(
        ConfigurationProblem(
          at: configured.table.origin(.name), "gives a second channel the name \(configured.channel.name)",
          hint: "give each [[notify]] table its own name = \"…\""))
    }
  }

  private func problem(_ table: ChannelTable, _ key: ChannelKey, _ problem: String, hint: String) -> HoldfastError {
    ConfigurationProblem(at: table.origin(key), problem, hint: hint).error
  }
}

extension MailServer {
  /// Encryption is required, except by a server on this machine.
  ///
  /// - Parameter url: `smtp://host:port` or `smtps://host:port`; nil if it is neither.
  init?(url: String) {
    guard let scheme = ["smtp://", "smtps://"].first(where: url.hasPrefix) else { return nil }
    let authority = url.dropFirst(scheme.count).drop { $0 == "/" }.prefix { $0 != "/" }
    guard !authority.isEmpty, authority.count + scheme.count >= url.count - 1 else { return nil }
    let isIPv6 = authority.hasPrefix("[")
    let host = isIPv6 ? authority.dropFirst().prefix { $0 != "]" } : authority.prefix { $0 != ":" }
    let rest = authority.dropFirst(host.count + (isIPv6 ? 2 : 0))
    let isImplicit = scheme == "smtps://"
    let isLocal = ["localhost", "127.0.0.1", "::1"].contains(host.lowercased())
    let standard = isImplicit ? 465 : isLocal ? 25 : 587
    guard !host.isEmpty, let port = rest.isEmpty ? standard : Int(rest.dropFirst()), (1...65535).contains(port),
      rest.isEmpty || rest.hasPrefix(":")
    else { return nil }
    self.init(host: String(host), port: port, encryption: isImplicit ? .implicit : isLocal ? .none : .startTLS)
  }
}

extension Configuration {
  /// Where the agent sends messages and signs of life.
  ///
  /// - Throws: `usage` with the first mistake.
  func notifications() throws -> NotificationSetup {
    let settings = settings()
    guard file?.channels.isEmpty == false || settings.given(.heartbeatURL) != nil else { return NotificationSetup() }
    let zone = try settings.zone()
    let list = ChannelList(file?.channels ?? [], zone: zone, folders: folders)
    if let problem = list.problems.first { throw problem.error }
    var heartbeat: Heartbeat?
    if case .text(let url)? = try settings.value(.heartbeatURL) { heartbeat = Heartbeat(url: url, zone: zone) }
    return NotificationSetup(channels: list.channels.map(\.channel), heartbeat: heartbeat)
  }

  /// Mistakes in the channels.
  func channelProblems(_ files: any FileOperations) -> [ConfigurationProblem] {
    let zone = (try? settings().zone()) ?? .utc
    let list = ChannelList(file?.channels ?? [], zone: zone, folders: folders)
    return list.problems + list.channels.flatMap { ChannelExamination($0, files).problems(folders) }
  }
}

/// Finds out whether a channel can be used, without a message.
struct ChannelExamination {
  private let configured: ConfiguredChannel
  private let files: any FileOperations

  init(_ configured: ConfiguredChannel, _ files: any FileOperations) {
    (self.configured, self.files) = (configured, files)
  }

  /// Mistakes in the files that it names, with the place of the setting.
  func problems(_ folders: StandardFolders) -> [ConfigurationProblem] {
    let table = configured.table
    let secrets: [ChannelKey] = [.urlFile, .passwordFile, .secretFile, .tokenFile]
    let files = (secrets + [.caFile]).compactMap { key -> ConfigurationProblem? in
      guard let text = try? table.text(key),
        let path = try? PathResolution(folders: folders).path(text, table.origin(key))
      else { return nil }
      guard let status = try? self.files.status(path) else {
        return ConfigurationProblem(
          at: table.origin(key), "names \(path), which does not exist", hint: "check the path")
      }
      guard secrets.contains(key), status.permissions & 0o004 != 0 else { return nil }
      return ConfigurationProblem(
        .warning, at: table.origin(key), "names \(path), which every user of this host can read",
        hint: "chmod 600 \(path)")
    }
    return files + [program].compactMap { $0 }
  }

  private var program: ConfigurationProblem? {
    guard case .command(let words) = configured.channel.kind, let name = words.first else { return nil }
    do {
      _ = try GuardedCommand([name])
      return nil
    } catch {
      let known = (error as? GuardedCommand.Unusable)?.error
      return ConfigurationProblem(
        at: configured.table.origin(.command), ": \(known?.message ?? "\(error)")",
        hint: known?.hint ?? "check the path")
    }
  }
}
