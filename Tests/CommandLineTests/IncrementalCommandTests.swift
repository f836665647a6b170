import TestSupport
import Testing

/// `create --incremental` and `--full`.
@Suite("Incrementals on the command line", .ownThread)
struct IncrementalCommandTests {
  @Test("create --incremental names its base, and --full is the default")
  func kinds() throws {
    let bed = try CommandBed()
    let full = try bed.create()
    _ = try bed.value("UPDATE entries SET text = 'changed' WHERE id = 7")
    let text = bed.normalised(try bed.succeed("create", "--incremental", "--tags", "sale"))
    #expect(
      text == """
        Created ID
        incremental: only the changes since ID
            File         ID.pages.gz.enc
            Created      TIME
            Size         SIZE (SIZE before compression)
            Status       - not verified yet
            Tags         sale

        """)
    let list = try decode([Point].self, bed.succeed("list", "--json"))
    #expect(list.map(\.kind) == ["incremental", "full"])
    #expect(list[0].parentId == full && list[0].chainId == full && list[0].pagesStored == 1)
    #expect(list[1].parentId == nil && list[1].chainId == full)
    #expect(try decode(Point.self, bed.succeed("create", "--full", "--json")).kind == "full")
    #expect(try bed.succeed("create", "--incremental") == "Nothing changed since \(newest(bed))\n    " + fields(bed))
  }

  private func newest(_ bed: CommandBed) throws -> String {
    try decode([Point].self, bed.succeed("list", "--json"))[0].backupId
  }

  /// The fields of the newest backup, as `list --flat` shows them.
  private func fields(_ bed: CommandBed) throws -> String {
    let list = try bed.succeed("list", "--flat", "--limit", "1")
    return String(list.split(separator: "    ", maxSplits: 1)[1])
  }

  @Test("--json prints the backup, and --quiet its ID")
  func documents() throws {
    let bed = try CommandBed()
    let ids = try bed.makeChain(incrementals: 1)
    _ = try bed.value("DELETE FROM entries WHERE id = 9")
    let point = try decode(Point.self, bed.succeed("create", "--incremental", "--verify", "--json"))
    #expect(point.verified && point.parentId == ids[1] && point.chainId == ids[0])
    #expect(point.filename == "\(point.backupId).pages.gz.enc" && point.totalRecords == nil)
    // Nothing changed: it is the newest backup, and no new one.
    #expect(try decode(Point.self, bed.succeed("create", "--incremental", "--json")).backupId == point.backupId)
    _ = try bed.value("DELETE FROM entries WHERE id = 10")
    let quiet = try bed.succeed("create", "--incremental", "--quiet")
    #expect(bed.normalised(quiet) == "ID\n")
    #expect(try decode([Point].self, bed.succeed("list", "--json")).count == 4)
  }

  @Test("If an incremental has no base, a full is stored, and the reason is printed")
  func fallback() throws {
    let bed = try CommandBed()
    let first = try bed.succeed("create", "--incremental")
    #expect(bed.normalised(first).hasPrefix("Created ID\nfull: there is no backup to build on\n"), "\(first)")
    _ = try bed.value("DELETE FROM entries WHERE id = 10")
    let plain = try bed.succeed("create", "--incremental", "--no-encrypt")
    #expect(bed.normalised(plain).hasPrefix("Created ID\nfull: ID is not protected in the same way\n"), "\(plain)")
    let seed = try bed.succeed(
      "create", "--incremental", "--cipher", "aes-256-cbc",
      environment: ["BACKUP_ENCRYPTION_KEY_FILE": "", "BACKUP_ENCRYPTION_PASSWORD": "a password"])
    #expect(bed.normalised(seed).hasPrefix("Created ID\nfull: aes-256-cbc has fulls only\n"), "\(seed)")
  }

  @Test("--full and --incremental exclude each other")
  func both() throws {
    let bed = try CommandBed(rows: 10)
    let result = try bed.run("create", "--full", "--incremental")
    #expect(result.status == 64 && result.stdout == "")
    #expect(result.stderr.contains("--incremental"))
  }

  @Test("delete refuses a backup that others need, and removes them with --with-children")
  func delete() throws {
    let bed = try CommandBed()
    let ids = try bed.makeChain(incrementals: 3)
    for arguments in [["delete", ids[1], "--yes"], ["delete", ids[1], "--dry-run"]] {
      let result = try Shell.run(
        CommandBed.program, arguments, environment: bed.environment(), in: bed.folder.path)
      #expect(result.status == 8 && result.stdout == "", "\(arguments)")
      #expect(result.stderr.contains("cannot delete \(ids[1]): 2 backups need it\n"), "\(result.stderr)")
      #expect(result.stderr.contains("holdfast delete --with-children \(ids[1]) also removes them"))
    }
    let unasked = try bed.run("delete", "--with-children", ids[1])
    #expect(unasked.status == 8 && unasked.stderr.contains("a question is not possible here"))
    let plan = try bed.succeed("delete", "--with-children", ids[1], "--dry-run")
    #expect(
      bed.normalised(plan) == """
        Would delete ID and the 2 backups that need it (SIZE)
            ID  TIME  SIZE, 1 page  - not verified yet
            ID  TIME  SIZE, 1 page  - not verified yet
            ID  TIME  SIZE, 1 page  - not verified yet

        """)
    let dry = try decode(Deletion.self, bed.succeed("delete", "--with-children", ids[1], "--dry-run", "--json"))
    #expect(!dry.deleted && dry.backupId == ids[1] && dry.points == [ids[3], ids[2], ids[1]])
    #expect(try decode([Point].self, bed.succeed("list", "--json")).count == 4)
    let done = try bed.succeed("delete", "--with-children", ids[1], "--yes")
    #expect(bed.normalised(done) == "Deleted ID and the 2 backups that need it (SIZE)\n")
    #expect(try decode([Point].self, bed.succeed("list", "--json")).map(\.backupId) == [ids[0]])
    let last = try decode(Deletion.self, bed.succeed("delete", "--with-children", ids[0], "--yes", "--json"))
    #expect(last.deleted && last.points == [ids[0]])
  }
}
