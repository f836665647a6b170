import BackupEngine
import BackupPolicy
import FoundationEssentials
import Notifications
import TestSupport
import Testing
import Transfer
import Wording

/// `Tests/Fixtures/mail_server.py` beside a test.
final class MailReceiver {
  let folder: TemporaryFolder
  let port: Int
  private let process: ProcessInBackground

  init(_ options: String...) throws {
    folder = try TemporaryFolder()
    let scripts = "\(projectFolder)/Tests/Fixtures"
    let made = try Python.run(file: "\(scripts)/transfer_server.py", arguments: [folder.path, "--certificates"])
    try #require(made.status == 0)
    process = try ProcessInBackground("python3", ["\(scripts)/mail_server.py", folder.path] + options)
    try process.waitForLine("ready")
    port = try #require(process.lines.first?.split(separator: " ").last.flatMap { Int($0) })
  }

  var messages: [ReceivedMail] {
    get throws {
      try process.lines.drop { $0 != "ready" }.dropFirst().map {
        try JSONDecoder().decode(ReceivedMail.self, from: Data($0.utf8))
      }
    }
  }

  /// - Parameter password: written into a file, because no setting holds one.
  func channel(
    _ encryption: MailServer.Encryption, user: String? = nil, password: String? = nil, to: [String] = ["ops@a.test"],
    trusts: Bool = true
  ) throws -> Channel {
    var server = MailServer(host: "127.0.0.1", port: port, encryption: encryption)
    server.user = user
    let file = try password.map { password in
      let path = folder.path("password")
      try Data("\(password)\n".utf8).write(to: URL(filePath: path))
      return SecretFile(path)
    }
    let mail = Channel.Mail(server: server, sender: "holdfast@a.test", recipients: to, password: file)
    return Channel(name: "mail", kind: .mail(mail), caFile: trusts ? folder.path("ca.pem") : nil)
  }

  func stop() { process.stop() }
}

/// A mail as Python's own reader understands it.
struct ReceivedMail: Decodable {
  var from: String
  var to: [String]
  var encrypted: Bool
  var user: String?
  var headers: [[String]]
  var defects: [String]
  var encodings: [String]
  var bareLineEnds: Int
  var longestLine: Int
  var text: String
  var html: String

  enum CodingKeys: String, CodingKey {
    case from, to, encrypted, user, headers, defects, encodings, text, html
    case bareLineEnds = "bare_line_ends"
    case longestLine = "longest_line"
  }

  func header(_ name: String) -> String? { headers.first { $0[0].lowercased() == name.lowercased() }?[1] }
}

/// `Tests/Fixtures/webhook_server.py` beside a test.
final class WebReceiver {
  let port: Int
  private let process: ProcessInBackground

  init(secret: String? = nil) throws {
    let script = "\(projectFolder)/Tests/Fixtures/webhook_server.py"
    process = try ProcessInBackground("python3", [script] + [secret].compactMap { $0 })
    try process.waitForLine("ready")
    port = try #require(process.lines.first?.split(separator: " ").last.flatMap { Int($0) })
  }

  func url(_ path: String) -> String { "http://127.0.0.1:\(port)/\(path)" }

  var requests: [ReceivedRequest] {
    get throws {
      try process.lines.drop { $0 != "ready" }.dropFirst().map {
        try JSONDecoder().decode(ReceivedRequest.self, from: Data($0.utf8))
      }
    }
  }

  func stop() { process.stop() }
}

struct ReceivedRequest: Decodable {
  var path: String
  var headers: [String: String]
  var body: String
  var verified: Bool?
  var github: Bool?

  var json: JSONObject {
    guard case .object(let keys)? = JSONValue(parsing: Array(body.utf8)) else { return [:] }
    return keys
  }
}

/// Messages that look like those of an agent.
enum Messages {
  static let now = Timestamp(iso8601: "2026-11-29T14:04:02Z") ?? Timestamp(milliseconds: 0)

  static func alarm(_ message: String, of database: String = "shop") -> OpenAlarm {
    OpenAlarm(
      OpenAlarm.Key(database: database, kind: "disk_full"), since: now.adding(seconds: -40), message: message,
      hint: "free some space")
  }

  static func facts(_ name: String = "shop", alarm: OpenAlarm? = nil) -> StateFacts {
    var facts = StateFacts(name: name, path: "/srv/\(name).db", watch: .events)
    if let id = PointID("backup_20261129_140001") {
      facts.newest = .init(id: id, created: now.adding(seconds: -241), sequence: 41)
    }
    facts.alarms = [alarm].compactMap { $0 }.map {
      .init(kind: $0.key.kind, since: $0.since, message: $0.message, hint: $0.hint, stopsBackups: true)
    }
    return facts
  }

  static func failure(
    _ message: String = "the disk of /var/backups is full", of database: String = "shop", host: String = "web-1"
  ) throws -> ChannelMessage {
    let alarm = alarm(message, of: database)
    return try ChannelMessage(
      Notice(.alarm, open: [alarm], new: [alarm.key]), [facts(database, alarm: alarm), facts("blog")], host: host,
      at: now, in: .utc)
  }

  static func recovery(of id: String) throws -> ChannelMessage {
    let alarm = alarm("the disk of /var/backups is full")
    return try ChannelMessage(
      Notice(.recovery, over: [alarm], thread: id), [facts()], host: "web-1", at: now.adding(seconds: 600), in: .utc)
  }

  static func report() throws -> ChannelMessage {
    try ChannelMessage(
      Notice(.report), [facts(), facts("blog")], figures: ["shop": ["Stored: 12 backups, 3 MiB"]], host: "web-1",
      at: now, in: .utc)
  }
}
