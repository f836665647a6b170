import BackupEngine
import BackupPolicy
import FoundationEssentials
import Glibc
import TestSupport
import Testing

@testable import Notifications

@Suite("Messages by webhook, to a real server", .ownThread)
struct WebTests {
  private let delivery = Delivery(Progress())

  private func webhook(_ url: String, secret: SecretFile? = nil) -> Channel {
    Channel(name: "hook", kind: .webhook(url: .text(url), secret: secret))
  }

  @Test("The library standardwebhooks and GitHub's rule verify the signatures")
  func signatures() throws {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    let (receiver, folder) = (try WebReceiver(secret: secret), try TemporaryFolder())
    try Data("\(secret)\n".utf8).write(to: URL(filePath: folder.path("secret")))
    // The library refuses signatures of another time.
    let now = Delivery(Progress(), now: SystemClock.now)
    let channel = webhook(receiver.url("ok"), secret: SecretFile(folder.path("secret")))
    let message = try Messages.failure("the disk of /var/bäckups is full")
    #expect(try now.deliverOnce(message, through: channel) == "200 thanks")
    let request = try #require(try receiver.requests.first)
    #expect(request.verified == true && request.github == true)
    #expect(request.json.text("id") == message.id && request.json.text("event") == "alarm")
    #expect(request.json.text("summary") == "shop: the disk of /var/bäckups is full")
    #expect(request.json.items("alarms").count == 1 && request.json.items("databases").count == 2)
    guard case .object(let alarm)? = request.json.items("alarms").first,
      case .object(let database)? = request.json.items("databases").first,
      case .object(let newest)? = database["newest"]
    else {
      Issue.record("\(request.json)")
      return
    }
    #expect(newest.integer("sequence") == 41 && newest.text("id") == "backup_20261129_140001", "\(newest)")
    #expect(alarm.text("kind") == "disk_full" && alarm.text("since") == "2026-11-29T14:03:22.000Z", "\(alarm)")
  }

  @Test("Answers that are no success are errors with the answer, and redirects are not followed")
  func answers() throws {
    let receiver = try WebReceiver()
    func refusal(_ path: String) throws -> HoldfastError {
      try #require(throws: HoldfastError.self) {
        try delivery.deliverOnce(Messages.failure(), through: webhook(receiver.url(path)))
      }
    }
    #expect(try refusal("error/s3cret").message == "127.0.0.1:\(receiver.port) answers 500 no\\u{1b}[31m thanks")
    #expect(try refusal("gone").message.contains("answers 410"))
    let redirect = try refusal("redirect")
    #expect(redirect.message.contains("answers 302") && redirect.hint?.contains("redirects are not followed") == true)
    #expect(try refusal("dead").message.contains("closed the connection"))
    #expect(try receiver.requests.map(\.path).prefix(4) == ["/error/s3cret", "/gone", "/redirect", "/dead"])
    #expect(try refusal("express/s3cret").message.hasSuffix("answers 404 <html>\\n<pre>Cannot POST …</pre>\\n</html>"))
    receiver.stop()
    #expect(try refusal("ok").message.contains("cannot connect to"))
  }

  @Test("A receiver that fails once gets the same message again, with the same ID; a lasting refusal is not repeated")
  func retries() throws {
    let receiver = try WebReceiver()
    let message = try Messages.failure()
    #expect(try delivery.deliver(message, through: webhook(receiver.url("flaky"))).hasPrefix("200"))
    #expect(Set(try receiver.requests.compactMap { $0.headers["webhook-id"] }) == [message.id])
    #expect(try receiver.requests.count == 2)
    #expect(throws: HoldfastError.self) { try delivery.deliver(message, through: webhook(receiver.url("gone"))) }
    #expect(try receiver.requests.count == 3)
  }

  @Test("A receiver that never answers is given up, at once if the agent stops")
  func slow() throws {
    let receiver = try WebReceiver()
    let progress = Progress()
    let stopped = Delivery(progress)
    let thread = try Workers.start("a thread") {
      usleep(300_000)
      progress.stop()
    }
    defer { pthread_join(thread, nil) }
    let start = SystemClock.monotonic()
    #expect(throws: HoldfastError.self) {
      try stopped.deliver(Messages.failure(), through: webhook(receiver.url("slow")))
    }
    #expect(SystemClock.monotonic() - start < WebRequest.timeout)
  }

  @Test("ntfy, Slack and Discord get the forms that they know, within their limits")
  func presets() throws {
    let (receiver, folder) = (try WebReceiver(), try TemporaryFolder())
    try Data("tk_1\n".utf8).write(to: URL(filePath: folder.path("token")))
    let long = try Messages.failure("@everyone <!here> & " + String(repeating: "🙂", count: 1500))
    let url = Channel.Secret.text(receiver.url("ok"))
    let kinds: [Channel.Kind] = [
      .ntfy(url: url, topic: "alerts", token: SecretFile(folder.path("token"))), .slack(url: url), .discord(url: url),
    ]
    for kind in kinds { _ = try delivery.deliverOnce(long, through: Channel(name: "x", kind: kind)) }
    let requests = try receiver.requests
    try #require(requests.count == 3)
    #expect(requests[0].json.text("topic") == "alerts" && requests[0].headers["Authorization"] == "Bearer tk_1")
    #expect(requests[0].json.text("message")?.utf16.count ?? 0 <= 3500 && requests[0].json["priority"] == .integer(4))
    let slack = try #require(requests[1].json.text("text"))
    #expect(slack.contains("&lt;!here&gt; &amp;") && !slack.contains("<"))
    let discord = try #require(requests[2].json.text("content"))
    #expect(discord.utf16.count <= 2000 && discord.hasPrefix("[holdfast web-1] shop: @everyone"))
    #expect(requests[2].json["allowed_mentions"] == .object(["parse": .array([])]))
  }
}

@Suite("Messages by command", .ownThread)
struct CommandHookTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func channel(_ script: String, _ arguments: String...) throws -> Channel {
    let path = folder.path("hook")
    try Data("#!/bin/sh\n\(script)\n".utf8).write(to: URL(filePath: path))
    // Not by itself: another test's new process may still have the file open for writing.
    return Channel(name: "hook", kind: .command(["/bin/sh", path] + arguments))
  }

  @Test("It gets its arguments, the message as JSON, and no variable that may be a secret")
  func input() throws {
    setenv("BACKUP_ENCRYPTION_PASSWORD_TEST", "s3cret", 1)
    let output = folder.path("out")
    let channel = try channel(
      "cat > \(output).json; env > \(output).env; printf '%s|' \"$@\" > \(output).args; echo done", "a b", "$(x)")
    let message = try Messages.failure()
    #expect(try Delivery(Progress()).deliverOnce(message, through: channel) == "done")
    #expect(Array(try Data(contentsOf: URL(filePath: "\(output).json"))) == message.json)
    let environment = try String(contentsOfFile: "\(output).env", encoding: .utf8)
    #expect(!environment.contains("s3cret") && environment.contains("PATH=") && environment.contains(message.id))
    #expect(try String(contentsOfFile: "\(output).args", encoding: .utf8) == "a b|$(x)|")
  }

  @Test("A program that fails, does not exist, or reads nothing is an error or none, with its last line")
  func endings() throws {
    let delivery = Delivery(Progress())
    func failure(_ channel: Channel) throws -> String {
      try #require(throws: HoldfastError.self) { try delivery.deliverOnce(Messages.failure(), through: channel) }
        .message
    }
    #expect(try failure(channel("echo one; echo two >&2; exit 3")) == "sh ended with exit status 3: two")
    #expect(try failure(channel("kill -9 $$")) == "sh was killed by signal 9")
    #expect(try failure(Channel(name: "x", kind: .command(["/no/such/program"]))).contains("/no/such/program"))
    #expect(try delivery.deliverOnce(Messages.failure(), through: channel("exit 0")) == "ended with exit status 0")
    // A child that goes on holds the pipe.
    #expect(try delivery.deliverOnce(Messages.failure(), through: channel("sleep 100 & echo ok")) == "ok")
  }

  @Test("A program that hangs is killed with its children")
  func hangs() throws {
    let path = folder.path("hook")
    try Data("#!/bin/sh\nsleep 1000 &\necho $! > \(folder.path("pid"))\nsleep 1000\n".utf8).write(
      to: URL(filePath: path))
    var hook = CommandHook(words: ["/bin/sh", path])
    hook.timeout = 3000
    let error = try #require(throws: HoldfastError.self) { try hook.run([], variables: [], Progress()) }
    #expect(error.message.hasPrefix("sh was killed, because it did not end within 3 s"), "\(error)")
    let text = try String(contentsOfFile: folder.path("pid"), encoding: .utf8)
    let child = try #require(Int32(text.filter(\.isNumber)))
    func hasEnded() -> Bool {
      let state = (try? String(contentsOfFile: "/proc/\(child)/stat", encoding: .utf8)) ?? ""
      return state.isEmpty || state.contains(") Z ")
    }
    for _ in 0..<1000 where !hasEnded() { usleep(10_000) }
    #expect(hasEnded())
  }
}
