import TestSupport
import Testing

private let canTrace = (try? Shell.run("strace", ["-o", "/dev/null", "true"]))?.status == 0

/// An opening checks that the repository is the one that this host knows, and reads its records. The
/// system calls show how often a command does so.
@Suite("Openings of the repository", .ownThread, .enabled(if: canTrace, "strace cannot trace here"))
struct OpeningTests {
  struct Counts: Equatable {
    /// Each opening looks for a link in place of the folder of drills.
    var openings = 0
    /// How often the identity of the repository was read.
    var identities = 0
  }

  /// - Parameter repository: a folder whose path contains this text.
  private func counts(
    _ arguments: [String], _ bed: CommandBed, status: Int32 = 0, of repository: String = "/backups/"
  ) throws -> Counts {
    let trace = ["-f", "-qq", "-s", "500", "-o", bed.folder.path("trace"), "-e", "trace=%file"]
    let result = try Shell.run(
      "strace", trace + [CommandBed.program] + arguments, environment: bed.environment(), in: bed.folder.path)
    #expect(result.status == status, "\(arguments): \(result.stderr)")
    let lines = String(decoding: try bed.folder.read("trace") ?? [], as: UTF8.self).lines.filter {
      $0.contains(repository)
    }
    return Counts(
      openings: lines.count {
        $0.contains("/.metadata/drills\"") && $0.contains("AT_SYMLINK_NOFOLLOW") && !$0.contains("open")
      },
      identities: lines.count { $0.contains("/.state/repository.json\"") && $0.contains("open") })
  }

  private func bed() throws -> CommandBed {
    let bed = try CommandBed(rows: 20)
    for _ in 0..<2 { _ = try bed.create() }
    return bed
  }

  @Test(
    "A command opens the repository once",
    arguments: [
      "create", "create --pin --verify", "create --incremental", "list", "show latest", "stats", "verify latest",
      "verify --all", "restore latest --to out.db", "restore latest --yes", "restore latest --dry-run",
      "cleanup --keep 1 --yes", "pin latest", "query latest", "guard -- true", "drill",
    ])
  func once(line: String) throws {
    let arguments = line.split(separator: " ").map(String.init)
    let more = arguments[0] == "query" ? ["SELECT 1"] : []
    #expect(try counts(arguments + more, bed()).openings == 1)
  }

  /// The guarded command may change the disks, so the rollback needs the checks again.
  @Test("A rollback opens the repository a second time")
  func rollback() throws {
    #expect(try counts(["guard", "--rollback", "--", "false"], bed(), status: 1).openings == 2)
  }

  /// `doctor` also examines the entries of the repository, which looks the same and opens nothing.
  @Test("doctor opens the repository once, and that of its probe once")
  func doctor() throws {
    let bed = try bed()
    #expect(try counts(["doctor", "--no-probe"], bed).openings == 2)
    #expect(try counts(["doctor"], bed, of: "/.holdfast-doctor-").openings == 1)
    #expect(try counts(["doctor"], bed).openings == 3)
  }

  @Test("A listing reads the identity of the repository once")
  func identity() throws {
    #expect(try counts(["list"], bed()) == Counts(openings: 1, identities: 2))
  }
}
