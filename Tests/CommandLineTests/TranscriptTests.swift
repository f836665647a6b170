import TestSupport
import Testing

/// The output for people, line by line.
@Suite("The output for people", .ownThread)
struct TranscriptTests {
  @Test("create shows the backup, list shows all, newest first, and show prints every fact")
  func points() throws {
    let bed = try CommandBed()
    let created = try bed.succeed(
      "create", "--verify", "--description", "Pre-deployment backup", "--tags", "production", "deployment")
    let fields = """
          File         ID.db.gz.enc
          Created      TIME
          Size         SIZE (SIZE before compression)
          Records      1,234
          Status       ✓ verified
          Description  Pre-deployment backup
          Tags         production, deployment

      """
    #expect(bed.normalised(created) == "Created ID\n" + fields)
    try bed.succeed("create", "--no-encrypt", "--no-compress")
    let second = """
          File         ID.db
          Created      TIME
          Size         SIZE
          Records      1,234
          Status       - not verified yet

      """
    let list = bed.normalised(try bed.succeed("list"))
    // A plain backup of this host is trusted in a sealed repository; the other way round `Problem`
    // lines would follow.
    #expect(list == "Available backups: 2\n\n[1] ID\n\(second)\n[2] ID\n\(fields)")
    #expect(
      bed.normalised(try bed.succeed("list", "--limit", "1"))
        == "Available backups: 2 (the newest 1 shown)\n\n[1] ID\n\(second)")
    let shown = bed.normalised(try bed.succeed("show", "latest"))
    #expect(shown.hasPrefix("ID\n    File            ID.db\n"))
    for line in ["Type            manual, full", "Encryption      none", "Tables          entries 1,234"] {
      #expect(shown.contains("    \(line)\n"), "\(shown)")
    }
  }

  @Test("verify lists the checks")
  func verify() throws {
    let bed = try CommandBed()
    _ = try bed.create()
    #expect(
      bed.normalised(try bed.succeed("verify", "latest")) == """
        ID

        Checks performed:
          ✓ file_existence
          ✓ file_size
          ✓ checksum_validation
          ✓ decryption_test
          ✓ decompression_test
          ✓ digest_validation
          ✓ sqlite_integrity_check
          ✓ foreign_key_check

        ✓ verified

        """)
    #expect(
      bed.normalised(try bed.succeed("verify", "latest", "--quick")) == """
        ID

        Checks performed:
          ✓ file_existence
          ✓ file_size
          ✓ checksum_validation

        ✓ unchanged since it was stored

        """)
  }

  @Test("verify --all continues past a damaged backup and exits with 3")
  func verifyAll() throws {
    let bed = try CommandBed()
    let damaged = try bed.create(["BACKUP_ENCRYPTION_ENABLED": "false", "BACKUP_COMPRESSION_ENABLED": "false"])
    let whole = try bed.create(["BACKUP_ENCRYPTION_ENABLED": "false", "BACKUP_COMPRESSION_ENABLED": "false"])
    try bed.python(
      "import sys; file = open(sys.argv[1], 'r+b'); file.seek(5000); file.write(b'damage')",
      "\(bed.backups)/\(damaged).db")
    let result = try bed.run("verify", "--all")
    #expect(result.status == 3)
    #expect(result.stderr == "holdfast: error: 1 of 2 backups are not verified: \(damaged)\n")
    let lines = result.stdout.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    #expect(lines[0] == "✓ \(whole)  verified" && lines[1] == "✗ \(damaged)  not verified", "\(result.stdout)")
    #expect(lines[2].hasPrefix("    ✗ checksum_validation — the checksum is "), "\(result.stdout)")
    #expect(
      result.stdout.hasSuffix(
        """

        ✗ 1 of 2 backups not verified

        The newest usable backup is \(whole): holdfast restore \(whole)

        """), "\(result.stdout)")
    #expect(try bed.succeed("list").contains("    Status       ✗ failed\n"))
  }

  @Test("restore shows the plan, then the steps done: live, replaced, and to a new file")
  func restore() throws {
    let bed = try CommandBed()
    let id = try bed.create()
    #expect(
      bed.normalised(try bed.succeed("restore", id, "--yes")) == """
        Restore of ID to DIR/app.db, live

          1. make sure that SIZE is free beside DIR/app.db and SIZE in the repository (SIZE)
          2. back up the current content of DIR/app.db (SIZE)
          3. verify the archive of ID (SIZE)
          4. write the database image beside DIR/app.db and check its digest (SIZE)
          5. check the integrity of the staged image
          6. write the restored content into DIR/app.db in one transaction; applications continue without a restart (SIZE)
          7. flush DIR/app.db and its folder to the disk
          8. record the restore in the repository

        ✓ restored ID to DIR/app.db
          The previous content is kept as ID
          Applications that have it open see the restored content without a restart

        """)
    try bed.folder.write("app.db", Array("not a database, but somebody's file".utf8))
    let replaced = try bed.succeed("restore", id, "--yes")
    #expect(replaced.contains("by replacing the file\n"))
    #expect(replaced.contains("\nWarnings:\n  ! "))
    #expect(replaced.contains("applications that had the old one open must reopen it\n"))
    #expect(try bed.value("SELECT count(*) FROM entries") == "1234")
    let copied = bed.normalised(try bed.succeed("restore", id, "--to", "new.db", "--yes"))
    #expect(copied.hasPrefix("Restore of ID to DIR/new.db, as a new file\n"))
    #expect(copied.hasSuffix("\n✓ restored ID to DIR/new.db\n"))
  }

  @Test("delete, cleanup and stats print their results")
  func housekeeping() throws {
    let bed = try CommandBed()
    let ids = try (0..<3).map { _ in try bed.create() }
    #expect(try bed.succeed("delete", ids[1], "--dry-run").hasPrefix("Would delete \(ids[1])\n"))
    #expect(try bed.succeed("list").hasPrefix("Available backups: 3\n"))
    #expect(try bed.succeed("delete", ids[1], "--yes") == "Deleted \(ids[1])\n")
    let removed = """
        \(ids[0])  beyond keep 1
      Kept: 1
        \(ids[2])  among the newest 1; the newest backup (none is verified)

      """
    #expect(try bed.succeed("cleanup", "--keep", "1", "--dry-run") == "Would remove: 1\n" + removed)
    #expect(try bed.succeed("list").hasPrefix("Available backups: 2\n"))
    #expect(try bed.succeed("cleanup", "--keep", "1") == "Removed: 1\n" + removed)
    let stats = bed.normalised(try bed.succeed("stats")).replacing(#/\d+\.\d%/#, with: "PERCENT")
    #expect(
      stats == """
        Backup statistics:

          Newest proven        none: run holdfast drill to prove that a backup can be restored
          Total backups        1
          Total size           SIZE
          Average size         SIZE
          Verified             0
          Failed               0
          Compression          to PERCENT of the database, on average
          Oldest               TIME
          Newest               TIME

        """)
  }

  @Test("--quiet prints only the ID of a new backup")
  func quiet() throws {
    let bed = try CommandBed()
    let id = try bed.succeed("create", "--quiet")
    #expect(bed.normalised(id) == "ID\n")
    #expect(try bed.succeed("restore", "latest", "--yes", "--quiet") == "")
    #expect(try bed.succeed("cleanup", "--keep", "5", "--quiet") == "")
    #expect(try bed.succeed("delete", "latest", "--yes", "--quiet") == "")
  }

  @Test("Times are shown in the local zone")
  func localTime() throws {
    let bed = try CommandBed()
    let id = try bed.create()
    let hour = try bed.python(
      """
      import datetime, sys, zoneinfo
      time = datetime.datetime.strptime(sys.argv[1][:22], "backup_%Y%m%d_%H%M%S").replace(tzinfo=datetime.timezone.utc)
      print(time.astimezone(zoneinfo.ZoneInfo("Asia/Kathmandu")).strftime("%Y-%m-%d %H:%M:%S"), end="")
      """, id)
    let list = try bed.succeed("list", environment: ["TZ": "Asia/Kathmandu"])
    #expect(list.contains("    Created      \(hour) +05:45\n"))
  }

  @Test("Text from a repository cannot move the terminal's cursor")
  func controlCharacters() throws {
    let bed = try CommandBed()
    try bed.succeed("create", "--description", "one\ntwo \u{1b}[2J \u{202e}three", "--tags", "a\tb")
    let list = try bed.succeed("list")
    #expect(list.contains(#"Description  one\ntwo \u{1b}[2J \u{202e}three"# + "\n"))
    #expect(list.contains(#"Tags         a\tb"# + "\n"))
  }
}
