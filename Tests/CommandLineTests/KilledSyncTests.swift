import Glibc
import ObjectStorage
import Synchronization
import TestSupport
import Testing

/// `holdfast sync` as a real process that is killed at each request. `HOLDFAST_KILL_PARTS=all` also
/// kills it at each part of a large upload.
@Suite("A killed sync", .ownThread)
struct KilledSyncTests {
  /// A database with backups, and a bucket behind a proxy.
  private final class Bed {
    let command: CommandBed
    let proxy: FaultProxy
    private(set) var bucket: MotoBucket
    private var objects: [String: [UInt8]] = [:]

    init(_ command: CommandBed) throws {
      self.command = command
      proxy = try FaultProxy(to: try MotoServer.url())
      bucket = try MotoBucket("killed")
      let settings = "[[targets]]\nurl = \"\(url)\"\n"
      try command.folder.write("holdfast.toml", Array(settings.utf8))
    }

    var url: String { "s3://bucket/shop?endpoint=\(proxy.url)&region=us-east-1" }
    static let account = ["AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"]

    /// From now on, every case begins like this.
    func keep() throws {
      objects = try bucket.objects()
      try copy("state", "saved-state")
    }

    func reset() throws {
      bucket = try MotoBucket("killed", holding: objects)
      try copy("saved-state", "state")
    }

    private func copy(_ source: String, _ copy: String) throws {
      let script = "rm -rf \"$2\" && mkdir -p \"$1\" && cp -a \"$1\" \"$2\""
      try #require(try Shell.run("sh", ["-c", script, "sh", source, copy], in: command.folder.path).status == 0)
    }

    func sync() throws {
      proxy.prepare(nil, bucket: bucket.name)
      try command.succeed("sync", "--once", environment: Self.account)
    }

    /// Starts a sync that is killed.
    func kill(at number: Int, _ moment: FaultProxy.Moment) throws {
      let process = Mutex<Int32?>(nil)
      proxy.prepare(.call(moment), at: number, bucket: bucket.name) {
        while true {
          if let id = process.withLock({ $0 }) {
            Glibc.kill(id, SIGKILL)
            return
          }
          usleep(1000)
        }
      }
      let variables = command.environment(Self.account).map { "\($0.key)=\($0.value)" }
      let arguments = ["-C", command.folder.path] + variables + [CommandBed.program, "sync", "--once", "--quiet"]
      let running = try ProcessInBackground("env", arguments)
      process.withLock { $0 = running.id }
      #expect(running.waitForEnd() == 128 + SIGKILL, "request \(number), \(moment): \(proxy.requests)")
    }

    /// Every backup is in the bucket once, with the bytes of the local archive.
    func checkBucket(_ ids: [String], _ name: Comment) throws {
      let keys = try bucket.keys().filter { $0.contains("/points/") }
      #expect(keys.count == ids.count, name)
      for id in ids {
        let key = try #require(keys.first { $0.contains("-\(id).") }, name)
        let archive = String(key.split(separator: "-").last ?? "")
        let sum = try Shell.run("sha256sum", [command.folder.path("backups/\(archive)")]).stdout.prefix(64)
        #expect(try sum == ObjectContent(bucket.get(key)).sha256.map { Self.hexadecimal($0) }.joined(), name)
      }
    }

    private static func hexadecimal(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16) }

    /// Restores the newest backup with the address and the key alone.
    func checkRestore(_ name: Comment) throws {
      proxy.prepare(nil, bucket: bucket.name)
      var environment = Self.account
      environment["XDG_STATE_HOME"] = command.folder.path("other-state")
      environment["DATABASE_URL"] = ""
      _ = try Shell.run("rm", ["-f", command.folder.path("copy.db")])
      try command.succeed("restore", "latest", "--from", url, "--to", "copy.db", environment: environment)
      let content = try Shell.run("sqlite3", [command.folder.path("copy.db"), ".sha3sum"]).stdout
      #expect(try !content.isEmpty && content == Shell.run("sqlite3", [command.database, ".sha3sum"]).stdout, name)
    }
  }

  @Test("Wherever it dies, the next one completes the target", arguments: [false, true])
  func everyRequest(isFirst: Bool) throws {
    let bed = try Bed(CommandBed(rows: 20))
    var ids = [try bed.command.create()]
    if !isFirst { try bed.sync() }
    try bed.keep()
    ids.append(try bed.command.createIncremental())
    try bed.keep()
    try bed.reset()
    try bed.sync()
    try bed.checkBucket(ids, "without a kill")
    let requests = bed.proxy.requests
    #expect(requests.count >= 4)
    for (index, request) in requests.enumerated() {
      for moment in [FaultProxy.Moment.start, .executed] {
        let name: Comment = "\(moment) of request \(index + 1), \(request)"
        try bed.reset()
        try bed.kill(at: index + 1, moment)
        try bed.sync()
        try bed.checkBucket(ids, name)
      }
    }
    try bed.checkRestore("in the end")
  }

  @Test("An upload in parts goes on where the killed one was")
  func parts() throws {
    let command = try CommandBed(rows: 20)
    _ = try command.value(
      "CREATE TABLE large(data); INSERT INTO large SELECT randomblob(1000000) FROM generate_series(1, 70)")
    let bed = try Bed(command)
    let ids = [try bed.command.create()]
    try bed.keep()
    try bed.reset()
    try bed.sync()
    let requests = bed.proxy.requests
    let begin = try #require(requests.firstIndex { $0.method == "POST" }) + 1
    try #require(requests.count == begin + 6, "\(requests)")
    let all: [(Int, FaultProxy.Moment)] = (begin...begin + 6).flatMap { [($0, .start), ($0, .body), ($0, .executed)] }
    let some: [(Int, FaultProxy.Moment)] = [(begin + 2, .body), (begin + 5, .executed), (begin + 6, .executed)]
    for (number, moment) in getenv("HOLDFAST_KILL_PARTS") == nil ? some : all {
      let name: Comment = "\(moment) of request \(number) of \(begin) to \(begin + 6)"
      try bed.reset()
      try bed.kill(at: number, moment)
      let parts = bed.proxy.requests.count { $0.target.contains("partNumber") }
      try bed.sync()
      try bed.checkBucket(ids, name)
      // Nothing that the store has is sent again.
      let again = bed.proxy.requests.count { $0.target.contains("partNumber") }
      if number > begin + 4, moment == .executed { #expect(parts == 5 && again == 0, name) }
      if number > begin { #expect(try bed.bucket.uploads().isEmpty, name) }
    }
    try bed.checkRestore("in the end")
  }

  private static let canTrace =
    (try? Shell.run("strace", ["-o", "/dev/null", "-e", "inject=linkat:signal=KILL:when=9", "true"]).status) == 0

  @Test(
    "If it dies while it writes into a folder, the next one completes it, and the file is removed a week later",
    .enabled(if: canTrace, "strace cannot trace here"))
  func folder() throws {
    let command = try CommandBed(rows: 20)
    try command.folder.write("holdfast.toml", Array("[[targets]]\nurl = \"nas\"\n".utf8))
    mkdir(command.folder.path("nas"), 0o700)
    _ = try command.create()
    try command.succeed("sync")
    _ = try command.createIncremental()
    let trace = ["-f", "-o", "/dev/null", "-e", "trace=linkat", "-e", "inject=linkat:signal=KILL:when=2"]
    let killed = try Shell.run(
      "strace", trace + [CommandBed.program, "sync", "--once"], environment: command.environment(),
      in: command.folder.path)
    #expect(killed.status == 128 + SIGKILL, "\(killed)")
    func rests() throws -> [String] {
      let found = try Shell.run("find", [command.folder.path("nas"), "-name", ".holdfast-*"])
      return found.stdout.split(separator: "\n").map(String.init)
    }
    let rest = try #require(try rests().first)
    #expect(try rests().count == 1)
    try command.succeed("sync")
    #expect(try rests() == [rest])
    try command.succeed("targets", "check", "--quiet")
    let restored = try command.run("restore", "latest", "--from", "nas", "--to", "copy.db")
    #expect(restored.status == 0, "\(restored)")
    #expect(
      try command.value("SELECT count(*) FROM entries", of: command.folder.path("copy.db"))
        == command.value("SELECT count(*) FROM entries"))
    // A week later: the memo says when it looked last.
    try command.python(
      """
      import glob, re, sys, os, time
      week = 8 * 86400
      os.utime(sys.argv[1], (time.time() - week, time.time() - week))
      for path in glob.glob(sys.argv[2] + "/**/*.memo", recursive=True):
          with open(path) as file: text = file.read()
          text = re.sub(r'"cleaned" ?: ?(\\d+)', lambda m: '"cleaned": %d' % (int(m.group(1)) - week * 1000), text)
          with open(path, "w") as file: file.write(text)
      """, rest, command.folder.path("state"))
    try command.succeed("sync")
    #expect(try rests().isEmpty)
  }
}
