import FoundationEssentials
import Glibc
import TestSupport
import Testing

/// `targets take-over` with two machines, each of which guards a copy of one database.
@Suite("The command targets take-over", .ownThread)
struct TakeOverCommandTests {
  /// One server for the tests of this suite.
  private static let server = Result { try PythonServer("s3_server.py") }
  private static let keys = ["AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"]

  enum Place: String, CaseIterable { case folder, s3 }

  /// Two machines with the same paths. One of them is in the bed's folder at a time.
  private struct Machines {
    let bed: CommandBed
    let address: String
    private let files = ["app.db", "app.db-wal", "app.db-shm", "backups", "state"]

    init(_ place: Place) throws {
      bed = try CommandBed(rows: 20)
      switch place {
      case .folder:
        address = bed.folder.path("nas")
        mkdir(address, 0o700)
      case .s3:
        let url = try TakeOverCommandTests.server.get().url
        let bucket = "take-over-\(UInt32.random(in: 0 ..< .max))"
        address = "s3://\(bucket)/shop?endpoint=\(url)&region=us-east-1"
        try bed.python(
          """
          import sys, botocore.session
          session = botocore.session.Session()
          session.set_credentials("testing", "testing")
          session.create_client("s3", region_name="us-east-1", endpoint_url=sys.argv[1]).create_bucket(Bucket=sys.argv[2])
          """, url, bucket)
      }
      try bed.folder.write("holdfast.toml", Array("[[targets]]\nname = \"nas\"\nurl = \"\(address)\"\n".utf8))
    }

    /// Copies the present machine.
    func copy(to name: String) throws {
      let present = files.filter { FileManager.default.fileExists(atPath: bed.folder.path($0)) }
      try shell("mkdir -p \(name) && cp -a \(present.joined(separator: " ")) \(name)/")
    }

    /// Puts the present machine away, and another one in its place.
    func change(from name: String, to other: String) throws {
      try copy(to: name)
      try shell("rm -rf \(files.joined(separator: " ")) && cp -a \(other)/* .")
    }

    private func shell(_ script: String) throws {
      let result = try Shell.run("sh", ["-c", script], in: bed.folder.path)
      try #require(result.status == 0, "\(result.stderr)")
    }

    func run(_ arguments: String...) throws -> ProgramResult {
      try Shell.run(CommandBed.program, arguments, environment: bed.environment(keys), in: bed.folder.path)
    }

    @discardableResult
    func succeed(_ arguments: String...) throws -> String {
      let result = try Shell.run(
        CommandBed.program, arguments, environment: bed.environment(keys), in: bed.folder.path)
      #expect(result.status == 0 && result.stderr == "", "\(arguments): \(result.status), \(result.stderr)")
      return result.stdout
    }
  }

  @Test("After a take-over nothing is sent before a full, and the other machine stops", arguments: Place.allCases)
  func takeOver(place: Place) throws {
    let machines = try Machines(place)
    let bed = machines.bed
    _ = try bed.create()
    try machines.succeed("sync", "--once")
    try machines.copy(to: "second")
    _ = try bed.createIncremental()
    try machines.succeed("sync", "--once")
    try machines.change(from: "first", to: "second")

    // The second machine stored another number 2, in another second, which the target must not get.
    usleep(1_100_000)
    let diverged = try bed.createIncremental("INSERT INTO entries(text) VALUES ('second')")
    let stopped = try machines.run("sync", "--once")
    #expect(stopped.status == 8 && stopped.stderr.contains("it holds backup 2, which this repository never stored"))
    #expect(stopped.stderr.contains("holdfast: hint: if this machine is the right one: holdfast targets take-over nas"))
    let before = try machines.succeed("list", "--from", "nas")

    let taken = try machines.succeed("targets", "take-over", "nas", "--yes")
    #expect(taken.contains("  holdfast create && holdfast sync nas\n"), "\(taken)")
    let refused = try machines.run("sync", "--once")
    #expect(
      refused.status == 8
        && refused.stderr == """
          holdfast: error: target nas: nothing is written: it was taken over, and a full backup comes first
          holdfast: hint: holdfast create && holdfast sync nas

          """
    )
    #expect(try machines.succeed("sync", "--dry-run").contains("! Nothing is written: it was taken over"))
    #expect(try machines.succeed("targets").contains("! nothing is sent: it was taken over"))
    #expect(try machines.run("targets", "check").stdout.contains("→ holdfast create && holdfast sync nas"))
    #expect(try machines.succeed("list", "--from", "nas") == before)

    // Even a change becomes a full.
    _ = try bed.value("INSERT INTO entries(text) VALUES ('third')")
    struct Stored: Decodable { var backupId: String, kind: String, sequence: Int }
    let full = try decode(Stored.self, bed.succeed("create", "--incremental", "--json"))
    #expect(full.kind == "full" && full.sequence == 3)
    let next = try bed.createIncremental()
    try machines.succeed("sync", "--once")
    let listed = try machines.succeed("list", "--from", "nas")
    // The ID of a second is the beginning of the next IDs of that second.
    #expect(listed.contains(full.backupId) && listed.contains(next) && !listed.contains("\(diverged) "), "\(listed)")
    #expect(try machines.succeed("targets").contains("✓ up to date"))

    try machines.change(from: "second", to: "first")
    _ = try bed.createIncremental()
    let other = try machines.run("sync", "--once")
    #expect(other.status == 8 && other.stderr.contains("took it over at "), "\(other)")
  }

  @Test("The other machine stops although nothing was stored since the take-over", arguments: [Place.folder])
  func stopsBeforeTheFull(place: Place) throws {
    let machines = try Machines(place)
    _ = try machines.bed.create()
    try machines.succeed("sync", "--once")
    try machines.copy(to: "second")
    try machines.change(from: "first", to: "second")
    try machines.succeed("targets", "take-over", "nas", "--yes")
    try machines.change(from: "second", to: "first")
    _ = try machines.bed.createIncremental()
    let other = try machines.run("sync", "--once")
    #expect(other.status == 8 && other.stderr.contains("took it over at "), "\(other)")
    // And it can take the target back.
    try machines.succeed("targets", "take-over", "nas", "--yes")
    _ = try machines.bed.create()
    try machines.succeed("sync", "--once")
    #expect(try machines.succeed("targets").contains("✓ up to date"))
  }
}
