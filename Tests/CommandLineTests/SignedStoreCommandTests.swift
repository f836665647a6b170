import Glibc
import TestSupport
import Testing

/// The program and a store that checks every signature: OpenStack Swift.
@Suite("Off-site copies in a store that checks signatures", .ownThread)
struct SignedStoreCommandTests {
  private let bed: CommandBed
  private let url: String
  private let account: [String: String]

  init() throws {
    bed = try CommandBed(rows: 50)
    url = "s3://\(try SwiftServer.makeBucket())/shop?endpoint=\(try SwiftServer.url())&region=us-east-1"
    account = ["AWS_ACCESS_KEY_ID": try SwiftServer.keyID(), "AWS_SECRET_ACCESS_KEY": try SwiftServer.secret()]
    try bed.folder.write(
      "holdfast.toml", Array("[[targets]]\nname = \"s3\"\nurl = \"\(url)\"\ninterval = \"0s\"\n".utf8))
  }

  private func content(_ path: String) throws -> String { try Shell.run("sqlite3", [path, ".sha3sum"]).stdout }

  /// A restore on a machine that has only the address and the key.
  private func restore(_ reference: String) throws -> String {
    var environment = account
    environment["XDG_STATE_HOME"] = bed.folder.path("other-state")
    environment["DATABASE_URL"] = ""
    _ = try Shell.run("rm", ["-f", bed.folder.path("copy.db")])
    try bed.succeed("restore", reference, "--from", url, "--to", "copy.db", environment: environment)
    return try content(bed.folder.path("copy.db"))
  }

  /// The metrics of a running agent that has made lists and uploads.
  private func expectTraffic() throws {
    let metrics = try bed.succeed("metrics", environment: account)
    func value(_ name: String) -> Double? {
      let line = metrics.split(separator: "\n").first { $0.hasPrefix(name) }
      return line?.split(separator: " ").last.flatMap { Double($0) }
    }
    let labels = #"database="app",target="s3""#
    for operation in ["put", "list"] {
      let name = "holdfast_target_request_duration_seconds"
      let own = #"{\#(labels),operation="\#(operation)"}"#
      #expect(value("\(name)_count\(own)") ?? 0 >= 1 && value("\(name)_sum\(own)") ?? 0 > 0, "\(metrics)")
    }
    #expect(value("holdfast_target_received_bytes_total{\(labels)}") ?? 0 > 100, "\(metrics)")
    #expect(value(#"holdfast_target_retries_total{\#(labels),reason="denied"}"#) == 0, "\(metrics)")
  }

  @Test("sync copies backups, every command reads them, and a machine with nothing else restores them")
  func sync() throws {
    let ids = [try bed.create(account), try bed.createIncremental(nil, account)]
    let first = try bed.succeed("sync", "--once", environment: account)
    #expect(first.hasPrefix("s3: 2 backups uploaded"), "\(first)")
    #expect(try bed.succeed("sync", "--once", environment: account).hasPrefix("s3: nothing to upload"))
    let newest = try bed.createIncremental(nil, account)
    #expect(try bed.succeed("sync", "--once", environment: account).hasPrefix("s3: 1 backup uploaded"))
    let list = try bed.succeed("list", "--from", url, environment: account)
    #expect((ids + [newest]).allSatisfy { list.contains($0) })
    _ = try bed.succeed("verify", newest, "--from", url, environment: account)
    #expect(try restore("latest") == content(bed.database))
    #expect(try restore(ids[0]) != content(bed.database))
    let check = try bed.run("targets", "check", environment: account)
    #expect(check.stdout.contains("✓ target s3: content: no archive is missing, by name and size\n"), "\(check)")
    #expect(check.status == 0, "\(check)")
  }

  @Test("With a wrong key nothing is copied, and the message says which request was refused")
  func wrongKey() throws {
    _ = try bed.create(account)
    var wrong = account
    wrong["AWS_SECRET_ACCESS_KEY"] = "not-the-secret"
    let result = try bed.run("sync", "--once", environment: wrong)
    #expect(result.status == 1 && result.stderr.contains("SignatureDoesNotMatch"), "\(result)")
    #expect(!result.stderr.contains("not-the-secret"))
    #expect(try bed.succeed("sync", "--once", environment: account).hasPrefix("s3: 1 backup uploaded"))
  }

  @Test("The agent copies each change, and a machine with nothing else restores the last one")
  func agent() throws {
    let variables = bed.environment(account).map { "\($0.key)=\($0.value)" }
    let options = [
      "agent", "--debounce", "20ms", "--max-delay", "200ms", "--min-interval", "0", "--poll-interval", "1s",
    ]
    let agent = try ProcessInBackground("env", ["-C", bed.folder.path] + variables + [CommandBed.program] + options)
    func waitForCopies(_ condition: (String) -> Bool) throws -> String {
      for _ in 0..<1200 {
        let list = try bed.run("list", "--from", url, "--json", environment: account)
        if list.status == 0, condition(list.stdout) { return list.stdout }
        try #require(agent.isRunning, "\(agent.output)")
        usleep(100_000)
      }
      Issue.record("the agent copies nothing: \(agent.output)")
      return ""
    }
    func count(_ list: String) -> Int { list.matches(of: #/"backup_id"/#).count }
    var copies = count(try waitForCopies { count($0) > 0 })
    for number in 1...3 {
      _ = try bed.value("INSERT INTO entries(text) VALUES ('change \(number)')")
      let before = copies
      copies = count(try waitForCopies { count($0) > before })
    }
    try expectTraffic()
    kill(agent.id, SIGTERM)
    #expect(agent.waitForEnd() == 0)
    #expect(try restore("latest") == content(bed.database))
  }
}
