import FoundationEssentials
import Glibc
import TestSupport
import Testing

/// Damaged copies: which command finds them, and which one replaces them.
@Suite("Damaged copies in a target", .ownThread)
struct TargetRepairTests {
  /// The paths of the archives in the target.
  private func objects(_ bed: CommandBed) throws -> [String] {
    let found = try Shell.run("find", [bed.folder.path("nas"), "-path", "*/points/*", "-type", "f"])
    return found.stdout.split(separator: "\n").map(String.init).sorted()
  }

  /// What another machine says, which has the address and the key alone.
  private func verifiedElsewhere(_ bed: CommandBed) throws -> Int32 {
    try bed.run(
      "verify", "--all", "--from", bed.folder.path("nas/app"),
      environment: [
        "XDG_STATE_HOME": bed.folder.path("elsewhere"), "DATABASE_URL": "",
        "BACKUP_DIR": bed.folder.path("elsewhere/backups"),
      ]
    ).status
  }

  @Test("A cut-off copy is uploaded again by sync, and removed when the new one is there")
  func cutOff() throws {
    let bed = try CommandBed.withFolderTarget()
    _ = try bed.makeChain(incrementals: 1)
    try bed.succeed("sync")
    let full = try #require(try objects(bed).first { $0.contains("-full-") })
    #expect(truncate(full, 100) == 0)
    #expect(try verifiedElsewhere(bed) == 3)
    let done = try bed.succeed("sync")
    #expect(done.contains(", 1 removed; ") && done.contains("\n  ! Damaged there: backup_"), "\(done)")
    let names = try objects(bed)
    #expect(!names.contains(full) && names.count { $0.contains("-full-") } == 1, "\(names)")
    #expect(try verifiedElsewhere(bed) == 0)
    try bed.succeed("sync")
    #expect(try bed.succeed("sync", "--dry-run").contains("Nothing to do"))
    #expect(try objects(bed).count == 2 && verifiedElsewhere(bed) == 0)
  }

  @Test("A key that may not remove anything leaves a cut-off copy there, and readers use the new one")
  func cutOffAppend() throws {
    let bed = try CommandBed.withFolderTarget("\(CommandBed.folderTarget)access = \"append\"\n")
    _ = try bed.makeChain(incrementals: 1)
    try bed.succeed("sync")
    let full = try #require(try objects(bed).first { $0.contains("-full-") })
    #expect(truncate(full, 700) == 0)
    try bed.succeed("sync")
    #expect(try objects(bed).contains(full) && verifiedElsewhere(bed) == 0)
    #expect(try bed.run("targets", "check").stdout.contains("content: no archive is missing, by name and size"))
  }

  @Test("verify finds a changed byte in a copy and names the command that repairs it")
  func repair() throws {
    let bed = try CommandBed.withFolderTarget()
    let ids = try bed.makeChain(incrementals: 1)
    try bed.succeed("sync")
    let full = try #require(try objects(bed).first { $0.contains("-full-") })
    try bed.python(
      """
      import sys
      with open(sys.argv[1], "r+b") as file:
          file.seek(300)
          byte = file.read(1)[0]
          file.seek(300)
          file.write(bytes([byte ^ 1]))
      """, full)
    #expect(try bed.succeed("sync").contains("nothing to upload"))
    for arguments in [["verify", "--all"], ["verify", "latest"], ["drill"]] {
      let broken = try Shell.run(
        CommandBed.program, arguments + ["--from", "nas"], environment: bed.environment(), in: bed.folder.path)
      #expect(broken.status == 3, "\(broken)")
      #expect(
        broken.stderr.contains("hint: holdfast sync nas --repair uploads again what is damaged there"), "\(broken)")
    }
    let dry = try bed.succeed("sync", "nas", "--repair", "--dry-run")
    #expect(dry.contains("\n  ! Damaged there: \(ids[0])\n"), "\(dry)")
    let done = try bed.succeed("sync", "nas", "--repair")
    #expect(done.contains(", 1 removed; ") && done.contains("! Damaged there: \(ids[0])"), "\(done)")
    #expect(try !objects(bed).contains(full) && verifiedElsewhere(bed) == 0)
    try bed.succeed("verify", "--all", "--from", "nas")
    #expect(try !bed.succeed("sync", "--repair").contains("Damaged"))
    // What is not here any more cannot be repaired, and is not called whole.
    let lone = try #require(try objects(bed).first { !$0.contains("-full-") })
    #expect(truncate(lone, 0) == 0)
    try bed.succeed("delete", ids[1], "--yes")
    let lost = try bed.succeed("sync", "--repair")
    #expect(lost.contains("! Damaged there: \(ids[1])"), "\(lost)")
  }

  @Test("What a key cannot read, it cannot repair")
  func writeOnly() throws {
    let bed = try CommandBed.withFolderTarget("\(CommandBed.folderTarget)access = \"write-only\"\n")
    _ = try bed.create()
    try bed.succeed("sync")
    let blind = try bed.run("sync", "--repair")
    #expect(blind.status == 64 && blind.stderr.contains("its access is write-only"), "\(blind)")
  }
}
