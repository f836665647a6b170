import TestSupport
import Testing

/// Chains as `list` and `show` show them.
@Suite("Chains on the command line", .ownThread)
struct TreeTests {
  @Test("list shows incrementals below their full, newest first; --flat lists each by itself")
  func tree() throws {
    let bed = try CommandBed()
    let ids = try bed.makeChain(incrementals: 2)
    _ = try bed.value("DELETE FROM entries WHERE id = 5")
    try bed.succeed("create", "--incremental", "--description", "before the sale", "--tags", "shop")
    let full = try bed.create()
    let expected = """
      Available backups: 5

      [1] ID
          File         ID.db.gz.enc
          Created      TIME
          Size         SIZE (SIZE before compression)
          Records      1,235
          Status       - not verified yet

      [2] ID
          File         ID.db.gz.enc
          Created      TIME
          Size         SIZE (SIZE before compression)
          Records      1,234
          Status       - not verified yet
          Chain        3 incrementals, SIZE
          ├─ ID  TIME  SIZE, 1 page  - not verified yet  "before the sale"  shop
          ├─ ID  TIME  SIZE, 1 page  - not verified yet
          └─ ID  TIME  SIZE, 1 page  - not verified yet

      """
    let text = try bed.succeed("list")
    #expect(bed.normalised(text) == expected)
    let shown = text.matches(of: #/backup_\d{8}_\d{6}(_\d{3})?(?=\n|  )/#).map { String($0.output.0) }
    try #require(shown.count == 5)
    #expect([shown[0], shown[1], shown[3], shown[4]] == [full, ids[0], ids[2], ids[1]], "\(text)")
    let flat = bed.normalised(try bed.succeed("list", "--flat"))
    #expect(flat.contains("\n[5] ID\n") && flat.contains("    File         ID.pages.gz.enc\n"))
    #expect(!flat.contains("├─"))
    // The array is unchanged: every backup, newest first.
    let list = try decode([Point].self, bed.succeed("list", "--json"))
    #expect(list.map(\.kind) == ["full", "incremental", "incremental", "incremental", "full"])
    #expect(list.allSatisfy { $0.problems == nil })
  }

  @Test("--limit cuts within a chain and reports the omitted backups")
  func limit() throws {
    let bed = try CommandBed()
    let ids = try bed.makeChain(incrementals: 4)
    #expect(
      bed.normalised(try bed.succeed("list", "--limit", "2")) == """
        Available backups: 5 (the newest 2 shown)

        [1] ID (the full, not among the newest 2)
            ├─ ID  TIME  SIZE, 1 page  - not verified yet
            ├─ ID  TIME  SIZE, 1 page  - not verified yet
            └─ 2 older not shown

        """)
    #expect(try bed.succeed("list", "--limit", "2").contains("[1] \(ids[0]) (the full"))
    #expect(
      try decode([Point].self, bed.succeed("list", "--limit", "2", "--json")).map(\.backupId) == [ids[4], ids[3]])
  }

  @Test(
    "A terminal shortens a long run and reports it, a pipe does not, and an anomaly is always shown")
  func folding() throws {
    let bed = try CommandBed(rows: 400)
    let ids = try bed.makeChain(incrementals: 18)
    let piped = try bed.succeed("list")
    for id in ids { #expect(piped.contains(id)) }
    let terminal = try PseudoTerminal.run(bed, ["list"], answer: "")
    #expect(terminal.status == 0)
    let text = bed.normalised(terminal.text.replacing("\r\n", with: "\n"))
    #expect(text.contains("\n    ⋮  7 more, TIME to TIME; --flat shows each\n"), "\(text)")
    #expect(text.split(separator: "\n").count { $0.contains("─ ID") } == 11)
    for id in Set(ids).subtracting(ids[4...10]) { #expect(terminal.text.contains(id)) }
    let flat = try PseudoTerminal.run(bed, ["list", "--flat"], answer: "").text
    for id in ids { #expect(flat.contains(id)) }
    // A missing link has its own line in the run that it breaks, and so have the links that follow
    // it.
    try bed.python("import os, sys; os.unlink(sys.argv[1])", "\(bed.backups)/\(ids[5]).pages.gz.enc")
    let broken = try PseudoTerminal.run(bed, ["list"], answer: "").text
    #expect(broken.contains("\(ids[5])  ") && broken.contains("⋮  2 more that need \(ids[5]), "), "\(broken)")
  }

  @Test("If a link is broken, list, show, verify and restore report the loss and the newest good backup")
  func broken() throws {
    let bed = try CommandBed()
    let ids = try bed.makeChain(incrementals: 4)
    try bed.python("import os, sys; os.unlink(sys.argv[1])", "\(bed.backups)/\(ids[2]).pages.gz.enc")
    let list = try bed.succeed("list")
    for id in [ids[3], ids[4]] {
      #expect(
        list.split(separator: "\n").contains {
          $0.contains("─ \(id)") && $0.contains("✗ needs \(ids[2]): it is missing")
        }, "\(list)")
    }
    #expect(
      list.contains("─ \(ids[1])  ")
        && list.contains("    │    Problem  the archive \(ids[2]).pages.gz.enc is missing\n"))
    #expect(
      list.hasSuffix(
        """

        ✗ 2 backups cannot be restored: a link of the chain is missing or damaged
        The newest usable backup is \(ids[1]): holdfast restore \(ids[1])

        """), "\(list)")
    let points = try decode([Point].self, bed.succeed("list", "--json"))
    #expect(points.map(\.status) == ["failed", "failed", "failed", "completed", "completed"])
    #expect(points[0].problems?.contains("\(ids[2]), which it depends on, is not usable: it is missing") == true)
    #expect(try decode(Shown.self, bed.succeed("show", ids[4], "--json")).chain == nil)
    #expect(try bed.succeed("show", ids[4]).contains("    Restore reads   nothing: it cannot be restored\n"))
    try requireNamed(bed, ids[4], newest: ids[1])
    // Every backup that is listed as good is good.
    for id in ids[...1] { #expect(try bed.run("restore", id, "--to", "\(id).db", "--yes").status == 0) }
  }

  /// Verification and restore refuse, and name the newest good backup.
  private func requireNamed(_ bed: CommandBed, _ id: String, newest: String) throws {
    let verify = try bed.run("verify", id)
    #expect(verify.status == 3)
    #expect(
      verify.stdout.hasSuffix("\nThe newest usable backup is \(newest): holdfast restore \(newest)\n"),
      "\(verify.stdout)")
    #expect(try decode(Verdict.self, bed.run("verify", id, "--json").stdout).newestWhole == newest)
    let restore = try bed.run("restore", id, "--yes")
    #expect(restore.status == 3 && restore.stdout == "")
    #expect(
      restore.stderr.contains("holdfast: hint: holdfast restore \(newest) restores the newest usable backup"),
      "\(restore.stderr)")
    let refusal = try decode(Refusal.self, bed.run("restore", id, "--yes", "--json").stdout)
    #expect(refusal.refused.hint.contains("holdfast restore \(newest) "))
  }

  @Test("After verify has found a corrupted link, list reports it also")
  func corrupted() throws {
    let bed = try CommandBed()
    let ids = try bed.makeChain(incrementals: 3)
    try bed.python(
      "import sys; file = open(sys.argv[1], 'r+b'); file.seek(-60, 2); file.write(b'damage')",
      "\(bed.backups)/\(ids[2]).pages.gz.enc")
    // The list reads headers alone; a verification of a later backup names the link.
    #expect(try !bed.succeed("list").contains("✗"))
    let verify = try bed.run("verify", ids[3])
    #expect(
      verify.status == 3 && verify.stdout.contains("\(ids[2]), which it depends on, is not usable"), "\(verify.stdout)")
    #expect(verify.stdout.contains("The newest usable backup is \(ids[1])"), "\(verify.stdout)")
    let all = try bed.run("verify", "--all")
    #expect(all.status == 3)
    #expect(
      all.stdout.hasSuffix("\nThe newest usable backup is \(ids[1]): holdfast restore \(ids[1])\n"),
      "\(all.stdout)")
    let points = try decode([Point].self, bed.succeed("list", "--json"))
    #expect(points.map(\.status) == ["failed", "failed", "verified", "verified"])
    #expect(try bed.succeed("list").contains("✗ needs \(ids[2]): it is damaged"))
    try requireNamed(bed, ids[3], newest: ids[1])
  }

  @Test("If a full is missing, its incrementals are listed below its ID")
  func missingFull() throws {
    let bed = try CommandBed()
    let ids = try bed.makeChain(incrementals: 2)
    try bed.python(
      "import os, sys; [os.unlink(path) for path in sys.argv[1:]]",
      "\(bed.backups)/\(ids[0]).db.gz.enc", "\(bed.backups)/.metadata/\(ids[0]).json")
    let list = try bed.succeed("list")
    #expect(list.contains("\n[1] \(ids[0]) (the full, which is missing)\n    ├─ \(ids[2])  "), "\(list)")
    #expect(list.hasSuffix("\nNo other backup is usable\n"), "\(list)")
    let restore = try bed.run("restore", ids[2], "--yes")
    #expect(restore.status == 3 && restore.stderr.contains("no other backup is usable"), "\(restore.stderr)")
  }

  @Test("show lists each link of a restore with its bytes and pages")
  func show() throws {
    let bed = try CommandBed()
    let ids = try bed.makeChain(incrementals: 2)
    let text = bed.normalised(try bed.succeed("show", ids[2]))
    let reading = """
          Restore reads   3 archives, SIZE, the newest first
            ID  TIME  SIZE, 1 page  - not verified yet
            ID  TIME  SIZE, 1 page  - not verified yet
            ID  TIME  SIZE, 
      """
    #expect(text.contains(reading), "\(text)")
    let shown = try decode(Shown.self, bed.succeed("show", ids[2], "--json"))
    let chain = try #require(shown.chain)
    #expect(chain.map(\.backupId) == ids.reversed() && chain.map(\.kind) == ["incremental", "incremental", "full"])
    #expect(chain.map(\.pagesStored).allSatisfy { ($0 ?? 0) > 0 } && shown.at == nil)
    let total = try bed.python(
      "import os, sys; print(sum(os.path.getsize(path) for path in sys.argv[1:]))",
      "\(bed.backups)/\(ids[0]).db.gz.enc", "\(bed.backups)/\(ids[1]).pages.gz.enc",
      "\(bed.backups)/\(ids[2]).pages.gz.enc")
    #expect("\(chain.reduce(0) { $0 + $1.bytes })\n" == total)
    let full = try decode(Shown.self, bed.succeed("show", ids[0], "--json"))
    #expect(full.chain?.map(\.backupId) == [ids[0]])
    #expect(try !bed.succeed("show", ids[0]).contains("Restore reads"))
  }
}
