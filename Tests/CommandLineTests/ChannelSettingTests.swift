import BackupEngine
import BackupPolicy
import FoundationEssentials
import Notifications
import TestSupport
import Testing

@testable import holdfast

@Suite("The settings [[notify]] and heartbeat_url", .ownThread)
struct ChannelSettingTests {
  private let bed: ConfigurationBed

  init() throws { bed = try ConfigurationBed() }

  private func setup(_ toml: String) throws -> [Channel] { try bed.configuration(toml: toml).notifications().channels }

  @Test("Every row has its meaning and reason, and its example is valid")
  func rows() throws {
    let rows = ChannelSettingTable.rows
    #expect(rows.map(\.key) == ChannelKey.allCases)
    for row in rows {
      #expect(!row.summary.isEmpty && !row.reason.isEmpty && !row.summary.hasSuffix("."), "\(row.name)")
      let text = try #require(row.example, "\(row.name)")
      #expect(throws: Never.self, "\(row.name)") { try row.kind.read(.untyped(text)) }
    }
  }

  @Test("Each type becomes a channel, and paths are relative to the file")
  func types() throws {
    let channels = try setup(
      """
      database = "app.db"
      timezone = "Europe/Berlin"
      [[notify]]
      type = "email"
      url = "smtp://mail.example.com"
      to = ["a@example.com", "b@example.com"]
      user = "u"
      password_file = "mail-password"
      report = "08:05"
      [[notify]]
      type = "webhook"
      name = "hook"
      url = "https://example.com/x"
      secret_file = "/etc/secret"
      ca_file = "ca.pem"
      [[notify]]
      type = "ntfy"
      topic = "t"
      [[notify]]
      type = "slack"
      url_file = "slack"
      [[notify]]
      type = "discord"
      url_file = "discord"
      [[notify]]
      type = "command"
      command = ["/bin/page", "--now"]
      """)
    #expect(channels.map(\.name) == ["email", "hook", "ntfy", "slack", "discord", "command"])
    guard case .mail(let mail) = channels[0].kind else {
      Issue.record("\(channels[0])")
      return
    }
    #expect(mail.server.host == "mail.example.com" && mail.server.port == 587 && mail.server.encryption == .startTLS)
    #expect(mail.sender == "a@example.com" && mail.recipients == ["a@example.com", "b@example.com"])
    #expect(mail.server.user == "u" && mail.password == SecretFile(bed.folder.path("mail-password")))
    #expect(channels[0].settings.report == (try CronSchedule("5 8 * * *")))
    #expect(channels[0].settings.zone.name == "Europe/Berlin")
    let secret = SecretFile("/etc/secret")
    #expect(channels[1].kind == .webhook(url: .text("https://example.com/x"), secret: secret))
    #expect(channels[1].caFile == bed.folder.path("ca.pem"))
    #expect(channels[2].kind == .ntfy(url: .text("https://ntfy.sh"), topic: "t", token: nil))
    #expect(channels[3].kind == .slack(url: .file(SecretFile(bed.folder.path("slack")))))
    #expect(channels[5].kind == .command(["/bin/page", "--now"]))
  }

  @Test(
    "The address of a mail server decides the encryption: only this machine may do without",
    arguments: [
      ("smtp://localhost", "localhost 25 none"), ("smtp://127.0.0.1:2525/", "127.0.0.1 2525 none"),
      ("smtp://[::1]:26", "::1 26 none"), ("smtp://mail.example.com:25", "mail.example.com 25 startTLS"),
      ("smtps://mail.example.com", "mail.example.com 465 implicit"), ("smtps://localhost", "localhost 465 implicit"),
      ("smtp://", "-"), ("smtp://host:0", "-"), ("smtp://host:x", "-"), ("smtp://host/path", "-"),
    ])
  func servers(url: String, expected: String) throws {
    let channels = try? setup("[[notify]]\ntype = \"email\"\nurl = \"\(url)\"\nto = \"a@example.com\"")
    guard case .mail(let mail)? = channels?.first?.kind else {
      #expect(expected == "-")
      return
    }
    #expect("\(mail.server.host) \(mail.server.port) \(mail.server.encryption)" == expected)
  }

  /// The table, and parts of the message and of the hint.
  @Test(
    "A mistake has its place and a hint, and no secret is repeated",
    arguments: [
      ("to = \"a@b.test\"", "1:1: [[notify]] has no type", "type = \"email\""),
      ("type = \"emial\"", "2:8: type is \"emial\"", "write \"email\""),
      ("type = \"email\"\nto = \"a@b.test\"", "2:8: type is email, which needs url", "smtp://"),
      ("type = \"email\"\nurl = \"smtp://h\"", "needs to", "ops@example.com"),
      ("type = \"slack\"\nurl_file = \"x\"\nurl = \"https://h/s3cret\"", "4:7: url is a secret here", "url_file"),
      ("type = \"webhook\"\nurl = \"https://h\"\ntopic = \"x\"", "topic is not a setting of type webhook", "remove"),
      ("type = \"webhook\"\nurl = \"https://u:s3cret@h/x\"", "url contains a user or a password", "url_file"),
      ("type = \"webhook\"\nurl = \"ftp://h/s3cret\"", "url is not a URL that can be used", "https://host/path"),
      ("type = \"email\"\npassword = \"s3cret\"", "password is a secret", "password_file"),
      (
        "type = \"email\"\nurl = \"smtp://h\"\nto = \"a@b.test\"\nuser = \"u\"", "user has no password", "password_file"
      ),
      ("type = \"email\"\nurl = \"smtp://h\"\nto = \"Ops <a@b.test>\"", "to is \"Ops <a@b.test>\"", "only the address"),
      ("type = \"email\"\nurl = \"smtp://h\"\nto = \"a@b.test\\r\\nBcc: c@d\"", "which is not an address", "address"),
      ("type = \"command\"\ncommand = \"rm -rf\"", "which is not a program", "write an array"),
      ("type = \"command\"\ncommand = [\"x\"]\nreport = \"8 Uhr\"", "report is \"8 Uhr\"", "08:00"),
      ("type = \"command\"\ncommand = [\"x\"]\nhots = \"x\"", "hots is not a setting of [[notify]]", "config"),
      (
        "type = \"ntfy\"\ntopic = \"a\"\n[[notify]]\ntype = \"ntfy\"\ntopic = \"b\"", "a second channel", "its own name"
      ),
    ])
  func mistakes(table: String, message: String, hint: String) throws {
    let configuration = try bed.configuration(toml: "[[notify]]\n\(table)")
    let problems = configuration.problems + configuration.channelProblems(SystemFileOperations())
    let found = try #require(problems.first { $0.message.contains(message) }, "\(problems)")
    #expect(found.hint.contains(hint), "\(found)")
    #expect(!problems.contains { "\($0)".contains("s3cret") })
  }

  @Test("Files of secrets that are missing or open to all, and a program that does not exist, are reported")
  func files() throws {
    try Data("x\n".utf8).write(to: URL(filePath: bed.folder.path("open")))
    try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: bed.folder.path("open"))
    let configuration = try bed.configuration(
      toml: """
        [[notify]]
        type = "slack"
        url_file = "open"
        [[notify]]
        type = "discord"
        url_file = "missing"
        [[notify]]
        type = "command"
        command = ["/no/such/program"]
        """)
    let problems = configuration.channelProblems(SystemFileOperations())
    #expect(problems.count == 3, "\(problems)")
    #expect(problems[0].severity == .warning && problems[0].message.contains("which every user of this host can read"))
    #expect(problems[1].message.contains("3:12") || problems[1].message.contains("which does not exist"))
    #expect(problems[2].message.contains("/no/such/program"))
    #expect(configuration.channelFindings().map(\.level) == [.warning, .problem, .problem])
  }

  @Test("The heartbeat comes from the file or the environment, and config show hides it")
  func heartbeat() throws {
    let toml = "heartbeat_url = \"https://hc.test/s3cret\"\ndatabase = \"app.db\""
    #expect(try bed.configuration(toml: toml).notifications().heartbeat?.url == "https://hc.test/s3cret")
    let variable = ["BACKUP_HEARTBEAT_URL": "https://hc.test/other"]
    let setup = try bed.configuration(environment: variable, toml: toml).notifications()
    #expect(setup.heartbeat?.url == "https://hc.test/other" && setup.channels.isEmpty)
    let listing = try SettingListing(bed.configuration(toml: toml))
    #expect(!listing.lines.joined().contains("s3cret") && listing.lines.contains { $0.hasPrefix("heartbeat_url") })
  }
}

@Suite("holdfast notify test", .ownThread)
struct NotifyCommandTests {
  @Test("It sends one of each, shows the answers, and ends with 1 if a channel does not accept them")
  func trial() throws {
    let bed = try CommandBed()
    let (script, kept) = (bed.folder.path("hook"), bed.folder.path("kept"))
    try Data("#!/bin/sh\ncat >> \(kept)\n".utf8).write(to: URL(filePath: script))
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: script)
    let good = "[[notify]]\ntype = \"command\"\nname = \"good\"\ncommand = [\"\(script)\"]\n"
    let bad = "[[notify]]\ntype = \"webhook\"\nname = \"bad\"\nurl = \"http://127.0.0.1:9/s3cret\"\n"
    let path = bed.folder.path("notify.toml")
    try Data((good + bad).utf8).write(to: URL(filePath: path))
    let one = try bed.run("notify", "test", "good", "--config", path)
    #expect(one.status == 0, "\(one)")
    #expect(one.stdout.contains("good (command, \(script))\n  ✓ failure: ended with exit status 0\n  ✓ recovery:"))
    let messages = try String(contentsOfFile: kept, encoding: .utf8).split(separator: "\n")
    #expect(messages.count == 3 && messages.allSatisfy { $0.contains("\"event\" : \"test\"") }, "\(messages)")
    #expect(messages[0].contains("This is a test"))
    let both = try bed.run("notify", "test", "--config", path, "--json")
    #expect(both.status == 1 && both.stdout.contains("cannot connect to 127.0.0.1:9"), "\(both)")
    #expect(!both.stdout.contains("s3cret"))
    #expect(try bed.run("notify", "test", "nobody", "--config", path).status == 64)
    #expect(try bed.run("notify", "test", "--config", "/dev/null").status == 64)
  }
}
