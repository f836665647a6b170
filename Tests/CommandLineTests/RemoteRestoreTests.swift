import BackupEngine
import BackupPolicy
import FoundationEssentials
import TestSupport
import Testing

/// Commands that read from a target: a folder with a copy of the archives.
@Suite("Restore from a target", .ownThread)
struct RemoteRestoreTests {
  /// A chain of a full and two incrementals in the backup folder and in a target; the values of the
  /// newest are in the database.
  private struct Bed {
    let command: CommandBed
    var target: TargetCopy
    let ids: [String]

    init(_ environment: [String: String] = [:]) throws {
      command = try CommandBed(rows: 30)
      target = try TargetCopy(command.folder.path("nas"))
      var ids = [try command.create(environment)]
      for text in ["first", "second"] {
        ids.append(try command.createIncremental("INSERT INTO entries(text) VALUES ('\(text)')", environment))
      }
      self.ids = ids
      try target.copy(from: command.backups)
    }

    func id(_ index: Int) throws -> PointID { try #require(PointID(ids[index])) }

    /// A new machine: neither the database nor its backups nor the records of this host.
    func wipe() throws {
      for name in ["app.db", "app.db-wal", "app.db-shm", "backups", "state"] {
        try? FileManager.default.removeItem(atPath: command.folder.path(name))
      }
    }

    func newest(of path: String? = nil) throws -> String {
      try command.value("SELECT text FROM entries ORDER BY id DESC LIMIT 1", of: path)
    }

    /// Nothing that was fetched remains in the host's scratch folder.
    func requireClean() throws {
      #expect(try Shell.run("find", [command.folder.path("state"), "-path", "*scratch/*"]).stdout == "")
    }
  }

  @Test("On a machine that has only the address and the key, the newest backup comes back")
  func wipedMachine() throws {
    let bed = try Bed()
    try bed.wipe()
    let output = try bed.command.succeed("restore", "latest", "--from", "nas", "--yes")
    #expect(output.contains("From nas: number 3 of ") && output.contains("3 archives of "))
    #expect(try bed.newest() == "second")
    try bed.requireClean()
    // The record of the restore is in a new backup folder, which works as ever.
    #expect(try bed.command.succeed("list").hasPrefix("Available backups: 0"))
    let undo = try bed.command.run("undo", "--yes")
    #expect(undo.status == 8 && undo.stderr.contains("kept no copy of the previous content"), "\(undo.stderr)")
    _ = try bed.command.create()
  }

  @Test("Without a database and settings, a backup is restored to a new file")
  func newFile() throws {
    let bed = try Bed()
    try bed.wipe()
    let environment = ["DATABASE_URL": ""]
    try bed.command.succeed("restore", bed.ids[1], "--from", "nas", "--to", "copy.db", environment: environment)
    #expect(try bed.newest(of: bed.command.folder.path("copy.db")) == "first")
    let nowhere = try bed.command.run("restore", "latest", "--from", "nas", "--yes", environment: environment)
    #expect(nowhere.status == 64 && nowhere.stderr.contains("no database is named"))
    try bed.command.succeed(
      "restore", "latest", "--from", "nas", "--table", "entries", "--to", "table.db", "--yes", environment: environment)
    #expect(try bed.newest(of: bed.command.folder.path("table.db")) == "second")
    try bed.requireClean()
  }

  @Test("A restore in place keeps the replaced content in the backup folder, and undo brings it back")
  func safetyBackup() throws {
    let bed = try Bed()
    try FileManager.default.removeItem(atPath: bed.command.backups)
    try FileManager.default.removeItem(atPath: bed.command.folder.path("state"))
    _ = try bed.command.value("INSERT INTO entries(text) VALUES ('third')")
    let output = try bed.command.succeed("restore", bed.ids[1], "--from", "nas", "--yes")
    #expect(output.contains("The previous content is kept as backup_"))
    #expect(try bed.newest() == "first")
    let kept = try decode([Point].self, bed.command.succeed("list", "--json"))
    #expect(kept.map(\.backupType) == ["safety"])
    try bed.command.succeed("undo", "--yes")
    #expect(try bed.newest() == "third")
    try bed.requireClean()
  }

  @Test("A dry run says what it would fetch, and changes nothing")
  func dryRun() throws {
    let bed = try Bed()
    let before = try bed.newest()
    let bytes = try bed.ids.reduce(0) { try $0 + size(bed, $1) }
    let lines = try bed.command.succeed("restore", "latest", "--from", "nas", "--dry-run")
    #expect(
      lines.contains("1. fetch 3 archives of \(ByteCount(bytes)): \(bed.ids[2]) and the 2 that it needs"), "\(lines)")
    struct Plan: Decodable {
      struct From: Decodable { var address: String, sequence: Int, objects: Int, bytes: Int64, warnings: [String] }
      var backupId: String, executed: Bool, from: From
    }
    let plan = try decode(Plan.self, bed.command.succeed("restore", "latest", "--from", "nas", "--dry-run", "--json"))
    #expect(plan.backupId == bed.ids[2] && !plan.executed && plan.from.objects == 3 && plan.from.bytes == bytes)
    #expect(try bed.newest() == before)
    try bed.requireClean()
  }

  private func size(_ bed: Bed, _ id: String) throws -> Int64 {
    try #require(PointID(id).flatMap { bed.target.names[$0]?.bytes })
  }

  @Test("list shows what the names say, without a key and without a download")
  func list() throws {
    let bed = try Bed()
    try bed.target.remove(bed.id(1))
    for id in try [bed.id(0), bed.id(2)] {
      try Data("no archive".utf8).write(to: URL(filePath: bed.target.path(id)))
    }
    let environment = ["BACKUP_ENCRYPTION_KEY_FILE": ""]
    let lines = try bed.command.succeed("list", "--from", "nas", environment: environment)
      .split(separator: "\n").map(String.init)
    #expect(lines[0] == "Backups in nas: 2" && lines[1] == "Repository \(bed.target.repositoryID)")
    #expect(lines.contains { $0.hasPrefix("  \(bed.ids[2])") && $0.hasSuffix("✗ an archive that it needs is missing") })
    #expect(lines.contains { $0.hasPrefix(bed.ids[0]) && $0.hasSuffix("full") })
    struct Entry: Decodable { var backupId: String, kind: String, sequence: Int, complete: Bool, superseded: Bool }
    let entries = try decode(
      [Entry].self, bed.command.succeed("list", "--from", "nas", "--limit", "1", "--json", environment: environment))
    #expect(entries.map(\.backupId) == [bed.ids[2]] && !entries[0].complete && !entries[0].superseded)
  }

  @Test("show, verify, query, diff and drill read from a target")
  func reading() throws {
    let bed = try Bed()
    try FileManager.default.removeItem(atPath: bed.command.backups)
    let command = bed.command
    #expect(try command.succeed("show", "latest", "--from", "nas").contains(bed.ids[2]))
    #expect(
      try command.succeed("show", "latest", "--schema", "--from", "nas", "--quiet").contains("CREATE TABLE entries"))
    #expect(try command.succeed("verify", bed.ids[1], "--from", "nas", "--max-age", "1h").contains(bed.ids[1]))
    let rows = try command.run("query", bed.ids[1], "SELECT count(*) AS n FROM entries", "--from", "nas", "--json")
    #expect(rows.status == 0 && rows.stdout == "[\n  {\"n\": 31}\n]\n", "\(rows.stderr)")
    _ = try command.value("INSERT INTO entries(text) VALUES ('third')")
    for pair in [[bed.ids[0], "latest"], ["latest", "live"]] {
      let arguments = ["diff"] + pair + ["--from", "nas", "--exit-code", "--summary"]
      let result = try Shell.run(
        CommandBed.program, arguments, environment: command.environment(), in: command.folder.path)
      #expect(result.status == 1 && result.stderr == "" && result.stdout.contains("entries"), "\(result)")
    }
    #expect(try command.succeed("drill", "--from", "nas").contains(bed.ids[2]))
    try command.succeed("drill", "--random", "--quick", "--from", "nas")
    try bed.requireClean()
  }

  @Test("verify --all verifies every backup of a target, and names the damaged ones")
  func verifyAll() throws {
    var bed = try Bed()
    let other = try bed.command.create()
    try bed.target.copy(from: bed.command.backups)
    try FileManager.default.removeItem(atPath: bed.command.backups)
    let whole = try bed.command.succeed("verify", "--all", "--from", "nas")
    for id in bed.ids + [other] { #expect(whole.contains("✓ \(id)  verified"), "\(whole)") }
    #expect(whole.hasSuffix("\n✓ 4 backups verified\n"))
    struct Entry: Decodable { var backupId: String, verified: Bool }
    let entries = try decode([Entry].self, bed.command.succeed("verify", "--all", "--quick", "--from", "nas", "--json"))
    #expect(entries.map(\.backupId) == [other] + bed.ids.reversed() && entries.allSatisfy(\.verified))
    try bed.target.damage(bed.id(1))
    let broken = try bed.command.run("verify", "--all", "--from", "nas")
    #expect(broken.status == 3 && broken.stdout.contains("✓ \(bed.ids[0])  verified"), "\(broken)")
    for id in bed.ids.dropFirst() { #expect(broken.stdout.contains("✗ \(id)  not verified: "), "\(broken)") }
    #expect(broken.stderr.contains("2 of 4 backups are not verified: \(bed.ids[2]), \(bed.ids[1])"), "\(broken)")
    let old = try bed.command.run("verify", "--all", "--from", "nas", "--at-least", "99")
    #expect(old.status == 8 && old.stderr.contains("number 99 was expected"), "\(old)")
    try bed.requireClean()
  }

  @Test("verify and drill prove the copies in the target, and a restore uses the archives of this machine")
  func copiesAlone() throws {
    let bed = try Bed()
    let command = bed.command
    try bed.target.damage(bed.id(0))
    for arguments in [["verify", "latest"], ["verify", "--all"], ["drill"], ["drill", bed.ids[0]]] {
      let result = try Shell.run(
        CommandBed.program, arguments + ["--from", "nas"], environment: command.environment(), in: command.folder.path)
      #expect(result.status == 3 && !result.stdout.contains("✓"), "\(arguments): \(result)")
      #expect(result.stderr.contains("holdfast: error: "), "\(arguments): \(result)")
    }
    #expect(try command.succeed("verify", "--all").contains("3 backups verified"))
    try command.succeed("restore", "latest", "--from", "nas", "--to", "copy.db", "--yes")
    #expect(try bed.newest(of: command.folder.path("copy.db")) == "second")
    let several = try command.run("verify", "--all", "--from", "nas", "--from", "usb")
    #expect(
      several.status == 64
        && several.stderr == """
          holdfast: error: verify is about the copies in one target, and --from names 2
          holdfast: hint: run it once for each target

          """
    )
    #expect(try command.run("drill", "--from", "nas", "--from", "usb").status == 64)
  }

  @Test("list says if the key does not prove the newest copy, although this machine has its archive")
  func unprovedCopy() throws {
    let bed = try Bed()
    let name = try #require(bed.target.names[bed.id(2)])
    try bed.target.put([UInt8](repeating: 7, count: Int(name.bytes)), at: name.text)
    let listed = try bed.command.succeed("list", "--from", "nas")
    #expect(listed.contains("\n  ! "), "\(listed)")
  }

  @Test("list says if the key does not prove the names, or if there is no key")
  func unprovedNames() throws {
    let bed = try Bed()
    _ = try bed.command.folder.write("other", Array(String(repeating: "f", count: 64).utf8))
    #expect(try !bed.command.succeed("list", "--from", "nas").contains("!"))
    let wrong = try bed.command.succeed("list", "--from", "nas", "--key-file", "other")
    #expect(wrong.contains("\n  ! these names cannot be authenticated: "), "\(wrong)")
    #expect(wrong.contains(bed.ids[2]))
    let none = try bed.command.succeed("list", "--from", "nas", environment: ["BACKUP_ENCRYPTION_KEY_FILE": ""])
    #expect(none.contains("\n  ! without a key, nothing proves these names\n"), "\(none)")
    let json = try bed.command.run("list", "--from", "nas", "--key-file", "other", "--json")
    #expect(json.status == 0 && json.stderr.hasPrefix("holdfast: warning: these names cannot be authenticated: "))
    try bed.requireClean()
  }

  // MARK: Refusals

  @Test("A damaged newest backup ends with exit code 3 and the command for the newest whole one")
  func damaged() throws {
    let bed = try Bed()
    try bed.wipe()
    try bed.target.damage(bed.id(2))
    let result = try bed.command.run("restore", "latest", "--from", "nas", "--yes")
    #expect(result.status == 3 && result.stderr.contains("\(bed.ids[2]) of "))
    let hint = try #require(result.stderr.firstRange(of: "holdfast restore ")).lowerBound
    #expect(result.stderr[hint...] == "holdfast restore --from nas \(bed.ids[1])\n", "\(result.stderr)")
    #expect(!FileManager.default.fileExists(atPath: bed.command.database))
    try bed.command.succeed("restore", bed.ids[1], "--from", "nas", "--yes")
    #expect(try bed.newest() == "first")
    try bed.requireClean()
  }

  @Test("A target that hides the newest backup is detected with --at-least and --max-age")
  func hiding() throws {
    let bed = try Bed()
    try bed.wipe()
    try bed.target.remove(bed.id(2))
    for arguments in [["--at-least", "3"], ["--at-least", "backup_20990101_000000"], ["--max-age", "1ms"]] {
      let result = try Shell.run(
        CommandBed.program, ["restore", "latest", "--from", "nas", "--yes"] + arguments,
        environment: bed.command.environment(), in: bed.command.folder.path)
      #expect(result.status == 8 && result.stderr.contains("the newest backup in nas is number 2, \(bed.ids[1]), "))
    }
    try bed.command.succeed("restore", "latest", "--from", "nas", "--yes", "--at-least", "2", "--max-age", "1h")
    let alone = try bed.command.run("restore", "latest", "--at-least", "2", "--yes")
    #expect(alone.status == 64 && alone.stderr.contains("--from does not name one"))
  }

  @Test("A wrong key ends with exit code 5, and plain archives need consent")
  func trust() throws {
    let bed = try Bed()
    _ = try bed.command.folder.write("other", Array(String(repeating: "f", count: 64).utf8))
    let wrong = try bed.command.run("restore", "latest", "--from", "nas", "--yes", "--key-file", "other")
    #expect(wrong.status == 5 && wrong.stderr.contains("does not open it"), "\(wrong.stderr)")
    let plain = try Bed(["BACKUP_ENCRYPTION_ENABLED": "false"])
    try plain.wipe()
    let refused = try plain.command.run("restore", "latest", "--from", "nas", "--yes")
    #expect(refused.status == 8 && refused.stderr.contains("--accept-unauthenticated"), "\(refused.stderr)")
    try plain.command.succeed("restore", "latest", "--from", "nas", "--yes", "--accept-unauthenticated")
    #expect(try plain.newest() == "second")
    #expect(try plain.command.succeed("list", "--from", "nas").contains("! not encrypted"))
  }

  private struct Refusal: CustomTestStringConvertible {
    var arguments: [String]
    var code: Int32
    var error: String
    var hint: String
    var testDescription: String { arguments.joined(separator: " ") }
  }

  private static let refusals = [
    Refusal(
      arguments: ["list", "--from", "gone"], code: 4, error: "there is no folder gone (is it mounted?)",
      hint: "ls -ld gone"),
    Refusal(
      arguments: ["list", "--from", "home"], code: 4, error: "there is no repository in home", hint: "the prefix"),
    Refusal(
      arguments: ["list", "--from", "ftp://host/x"], code: 64, error: "there is no store of the kind ftp",
      hint: "s3://bucket/prefix"),
    Refusal(
      arguments: ["restore", "latest", "--from", "s3://bucket/x?endpoint=http://127.0.0.1:1&region=a", "--yes"],
      code: 1,
      error: "cannot list the store", hint: "network"),
    Refusal(
      arguments: ["list", "--from", "nas", "--all"], code: 64, error: "--from is about one database", hint: "leave one"),
    Refusal(
      arguments: ["verify", "latest", "--all-databases", "--from", "nas"], code: 64,
      error: "--from is about one database, and --all-databases", hint: "leave"),
    Refusal(
      arguments: ["restore", "latest", "--from", "nas", "--at-least", "x", "--yes"], code: 64,
      error: "neither a number nor an ID", hint: "such as 431"),
    Refusal(
      arguments: ["restore", "latest", "--from", "nas", "--max-age", "long", "--yes"], code: 64,
      error: "which is not a time span", hint: "90min"),
    Refusal(
      arguments: ["restore", "backup_2019", "--from", "nas", "--yes"], code: 4, error: "there is no backup backup_2019",
      hint: "holdfast list --from nas shows"),
  ]

  @Test("Mistakes have a message, a hint and the documented exit code")
  func mistakes() throws {
    let bed = try Bed()
    try FileManager.default.createDirectory(atPath: bed.command.folder.path("home"), withIntermediateDirectories: true)
    let keys = ["AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"]
    for refusal in Self.refusals {
      let result = try Shell.run(
        CommandBed.program, refusal.arguments, environment: bed.command.environment(keys), in: bed.command.folder.path)
      #expect(result.status == refusal.code, "\(refusal): \(result.status), \(result.stderr)")
      #expect(result.stderr.contains("holdfast: error: ") && result.stderr.contains(refusal.error), "\(result.stderr)")
      #expect(result.stderr.contains(refusal.hint), "\(result.stderr)")
    }
    try bed.requireClean()
  }

  @Test("Two repositories under one address: the message lists them, and --repository chooses")
  func severalRepositories() throws {
    let (bed, other) = (try Bed(), try Bed())
    try FileManager.default.copyItem(
      atPath: "\(other.target.folder)/\(other.target.repositoryID)",
      toPath: "\(bed.target.folder)/\(other.target.repositoryID)")
    let result = try bed.command.run("restore", "latest", "--from", "nas", "--to", "copy.db")
    #expect(result.status == 8 && result.stderr.contains("nas holds 2 repositories: "), "\(result.stderr)")
    for id in [bed.target.repositoryID, other.target.repositoryID] { #expect(result.stderr.contains(id)) }
    try bed.command.succeed(
      "restore", "latest", "--from", "nas", "--repository", bed.target.repositoryID, "--to", "copy.db")
    #expect(try bed.newest(of: bed.command.folder.path("copy.db")) == "second")
  }

  // MARK: S3

  /// One server for the tests of this suite.
  private static let server = Result { try PythonServer("s3_server.py") }

  /// Copies a folder into a new bucket, as `rclone` would.
  private static let upload = """
    import os, sys, botocore.session
    url, bucket, prefix, folder = sys.argv[1:]
    session = botocore.session.Session()
    session.set_credentials("testing", "testing")
    client = session.create_client("s3", region_name="us-east-1", endpoint_url=url)
    client.create_bucket(Bucket=bucket)
    for path, _, names in os.walk(folder):
        for name in names:
            file = os.path.join(path, name)
            with open(file, "rb") as body:
                client.put_object(Bucket=bucket, Key=prefix + os.path.relpath(file, folder), Body=body)
    """

  @Test("A wiped machine restores from S3 with the credentials of the environment")
  func s3() throws {
    let bed = try Bed()
    try bed.wipe()
    let url = try Self.server.get().url
    try bed.command.python(Self.upload, url, "shop", "backups/web-1/", bed.target.folder)
    let address = "s3://shop/backups/web-1?endpoint=\(url)&region=us-east-1"
    let keys = ["AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"]
    #expect(try bed.command.succeed("list", "--from", address, environment: keys).contains(bed.ids[2]))
    try bed.command.succeed("restore", "latest", "--from", address, "--yes", environment: keys)
    #expect(try bed.newest() == "second")
    let gone = try bed.command.run(
      "list", "--from", address.replacing("s3://shop/", with: "s3://shoe/"), environment: keys)
    #expect(gone.status == 4 && gone.stderr.contains("check the name of the bucket"), "\(gone.stderr)")
    let unknown = try bed.command.run(
      "list", "--from", address, environment: ["AWS_EC2_METADATA_DISABLED": "true", "AWS_PROFILE": "none"])
    #expect(unknown.status == 1 && unknown.stderr.contains("AWS_ACCESS_KEY_ID"), "\(unknown.stderr)")
    // The URL of a configured target is reached with that target's keys.
    try bed.command.folder.write(
      "aws", Array("[default]\naws_access_key_id = testing\naws_secret_access_key = testing\n".utf8))
    try bed.command.folder.write(
      "holdfast.toml", Array("[[targets]]\nurl = \"\(address)\"\ncredentials_file = \"aws\"\n".utf8))
    let without = ["AWS_EC2_METADATA_DISABLED": "true"]
    let sameStore = address.replacing("&region=us-east-1", with: "")
    #expect(try bed.command.succeed("list", "--from", sameStore, environment: without).contains(bed.ids[2]))
    let otherStore = try bed.command.run(
      "list", "--from", address.replacing("web-1", with: "web-2"), environment: without)
    #expect(otherStore.status == 1 && otherStore.stderr.contains("AWS_ACCESS_KEY_ID"), "\(otherStore)")
    try bed.requireClean()
  }
}
