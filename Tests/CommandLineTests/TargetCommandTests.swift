import FoundationEssentials
import Glibc
import TestSupport
import Testing

/// `sync` and `targets`, as people and scripts see them.
@Suite("The commands sync and targets", .ownThread)
struct TargetCommandTests {
  private func normalised(_ text: String, _ bed: CommandBed) -> String {
    bed.normalised(text).replacing(#/In \d{4}-\d\d/#, with: "In MONTH")
  }

  private struct Step: Decodable {
    var step: String
    var backupId: String?
    var reason: String
  }

  private struct Copy: Decodable {
    struct Requests: Decodable {
      var puts: Int
      var gets: Int
      var lists: Int
      var deletes: Int
    }
    var name: String
    var url: String
    var executed: Bool
    var uploaded: [String]
    var steps: [Step]
    var owed: [String]
    var requests: Requests
    var bytes: Int
  }

  @Test("sync shows the steps with --dry-run, executes them, and then has nothing to do")
  func copy() throws {
    let bed = try CommandBed.withFolderTarget()
    let ids = try bed.makeChain(incrementals: 1)
    let dry = try bed.succeed("sync", "--dry-run")
    #expect(dry.contains(ids[0]) && dry.contains(ids[1]))
    #expect(
      normalised(dry, bed) == """
        nas  nas/app
          Would upload: 2
            ID  full, SIZE: no rule is set
            ID  changes since ID, SIZE: the newest backup
          In all: 2 uploads, 1 read, at most SIZE

        """)
    #expect(try Shell.run("find", [bed.folder.path("nas"), "-type", "f"]).stdout.isEmpty)
    let done = try bed.succeed("sync")
    #expect(normalised(done, bed).hasPrefix("nas: 2 backups uploaded, SIZE; 5 uploads, 1 list, 1 removal"), "\(done)")
    #expect(try Shell.run("find", [bed.folder.path("nas/app"), "-name", "*\(ids[1])*"]).stdout.contains(ids[1]))
    let again = try bed.succeed("sync", "nas", "--once")
    #expect(again.hasPrefix("nas: nothing to upload; "), "\(again)")
    #expect(
      try bed.succeed("sync", "--dry-run").contains("\n  Nothing to do: it has every backup that it should have\n"))
    #expect(try bed.succeed("sync", "--quiet") == "")
  }

  @Test("sync prints one document for scripts")
  func document() throws {
    let bed = try CommandBed.withFolderTarget()
    let id = try bed.create()
    let dry = try decode([Copy].self, bed.succeed("sync", "--dry-run", "--json"))
    #expect(dry.count == 1 && dry[0].name == "nas" && dry[0].url == "nas/app" && !dry[0].executed)
    #expect(dry[0].owed == [id] && dry[0].steps.map(\.step) == ["put"] && dry[0].steps[0].backupId == id)
    let done = try decode([Copy].self, bed.succeed("sync", "--json"))
    #expect(done[0].executed && done[0].uploaded.count == 1 && done[0].requests.puts == 4 && done[0].bytes > 0)
    let every = try bed.run("sync", "--all", "--json")
    #expect(every.status == 0 && every.stdout.contains("\"backup_dir\""), "\(every)")
  }

  @Test("A target can be named on the command line alone")
  func flag() throws {
    let bed = try CommandBed.withFolderTarget("")
    _ = try bed.create()
    let none = try bed.run("sync")
    #expect(none.status == 64)
    #expect(
      none.stderr == """
        holdfast: error: no target is configured
        holdfast: hint: write a [[targets]] table into holdfast.toml, or use --target URL

        """)
    #expect(try bed.succeed("sync", "--target", "nas").hasPrefix("nas: 1 backup uploaded"))
    #expect(try bed.succeed("targets", "--target", "nas").contains("✓ up to date"))
    #expect(try bed.succeed("targets") == "No targets: a [[targets]] table in holdfast.toml names one\n")
  }

  @Test("If a target cannot be used, the others are brought up to date, and the exit code says it")
  func missing() throws {
    let bed = try CommandBed.withFolderTarget("[[targets]]\nurl = \"usb\"\n\(CommandBed.folderTarget)")
    _ = try bed.create()
    let result = try bed.run("sync", "--once")
    #expect(result.status == 4 && result.stdout.hasPrefix("nas: 1 backup uploaded"), "\(result)")
    #expect(result.stderr.hasPrefix("holdfast: error: target usb: "))
    #expect(result.stderr.contains("there is no folder usb (is it mounted?)\nholdfast: hint: "))
    let one = try bed.run("sync", "usb")
    #expect(one.status == 4 && one.stderr.hasPrefix("holdfast: error: target usb: "), "\(one)")
    let unknown = try bed.run("sync", "nsa")
    #expect(
      unknown.status == 64
        && unknown.stderr == "holdfast: error: there is no target nsa\nholdfast: hint: did you mean nas?\n")
  }

  @Test("targets shows the state, the newest backup and the requests of each target without asking it")
  func targets() throws {
    let bed = try CommandBed.withFolderTarget()
    let id = try bed.create()
    #expect(
      normalised(try bed.succeed("targets"), bed) == """
        nas  nas/app
            State        - not used yet: the agent begins, or holdfast sync nas

        """)
    try bed.succeed("sync")
    try bed.python("import os, sys; os.rename(sys.argv[1], sys.argv[1] + '-away')", bed.folder.path("nas"))
    let text = try bed.succeed("targets")
    #expect(text.contains(id))
    #expect(
      normalised(text, bed) == """
        nas  nas/app
            State        ✓ up to date
            Newest       ID, number 1, made TIME
            Last upload  TIME
            Last list    TIME
            Stored       1 object, SIZE
            In MONTH   4 uploads, 1 list, 1 removal, SIZE sent

        """)
  }

  private struct State: Decodable {
    struct Newest: Decodable {
      var backupId: String
      var sequence: Int
    }
    struct Unsent: Decodable {
      var count: Int
      var oldest: String
    }
    var name: String
    var state: String
    var newest: Newest?
    var unsent: Unsent?
    var objects: Int
  }

  @Test("targets show and targets with the same options print the same document")
  func stateDocument() throws {
    let bed = try CommandBed.withFolderTarget()
    let id = try bed.create()
    #expect(try decode([State].self, bed.succeed("targets", "--json"))[0].state == "unused")
    try bed.succeed("sync")
    let next = try bed.createIncremental()
    let text = try bed.succeed("targets", "--json")
    let state = try decode([State].self, text)[0]
    #expect(state.name == "nas" && state.state == "pending" && state.objects == 1 && state.newest?.backupId == id)
    #expect(state.newest?.sequence == 1 && state.unsent?.count == 1 && state.unsent?.oldest == next)
    #expect(try bed.succeed("targets", "show", "--json") == text)
  }

  @Test("targets shows the last error of the agent, and whether it is over")
  func lastError() throws {
    let bed = try CommandBed.withFolderTarget("[[targets]]\nname = \"usb\"\nurl = \"usb\"\n")
    _ = try bed.create()
    let output = try bed.python(
      """
      import json, os, signal, subprocess, sys, time
      program, folder = sys.argv[1:]
      signal.pthread_sigmask(signal.SIG_SETMASK, [])
      agent = subprocess.Popen([program, "agent"], cwd=folder, stderr=open(folder + "/agent.log", "wb"))

      def wait(condition):
          for _ in range(600):
              text = subprocess.run([program, "targets", "--json"], cwd=folder, stdout=subprocess.PIPE).stdout
              state = json.loads(text)[0]
              if condition(state):
                  return state
              time.sleep(0.1)
          sys.exit(f"{state}: {open(folder + '/agent.log').read()[-3000:]}")

      try:
          failed = wait(lambda state: state["last_failure"])
          assert "there is no folder" in failed["last_error"], failed
          assert failed["last_success"] is None, failed
          shown = subprocess.run([program, "targets"], cwd=folder, stdout=subprocess.PIPE, text=True).stdout
          assert "  Last error   " in shown and "there is no folder" in shown, shown
          assert "worked since" not in shown, shown
          os.mkdir(folder + "/usb")
          begun = time.monotonic()
          over = wait(lambda state: state["last_success"])
          # The back-off ends when the folder is seen.
          assert time.monotonic() - begun < 25
          assert over["last_failure"] == failed["last_failure"] or over["last_failure"] < over["last_success"], over
          shown = subprocess.run([program, "targets"], cwd=folder, stdout=subprocess.PIPE, text=True).stdout
          assert "; it has worked since then\\n" in shown, shown
      finally:
          agent.terminate()
          agent.wait()
      print("done", end="")
      """, CommandBed.program, bed.folder.path, environment: bed.environment())
    #expect(output == "done")
  }

  @Test("targets check asks each target, and reports one that cannot be used")
  func check() throws {
    let bed = try CommandBed.withFolderTarget()
    _ = try bed.create()
    try bed.succeed("sync")
    let sound = try bed.run("targets", "check")
    #expect(sound.status == 0 && sound.stdout.contains("✓ target nas: content: no archive is missing, by name"))
    #expect(sound.stdout.contains("! target nas: disk: nas/app is on the disk of the database"), "\(sound)")
    #expect(sound.stdout.contains("✓ target nas: store: a second put of a name is refused"), "\(sound)")
    try bed.python("import os, sys; os.rename(sys.argv[1], sys.argv[1] + '-away')", bed.folder.path("nas"))
    let broken = try bed.run("targets", "check", "nas")
    #expect(broken.status == 1 && broken.stdout.contains("✗ target nas: "), "\(broken)")
    #expect(broken.stdout.contains("(is it mounted?)"))
  }

  @Test("With a wrong key sync fails, and targets and targets check say it")
  func wrongKey() throws {
    let bed = try CommandBed.withFolderTarget()
    _ = try bed.create()
    try bed.succeed("sync")
    _ = try bed.createIncremental()
    try bed.folder.write("other", Array(String(repeating: "fedcba9876543210", count: 4).utf8))
    chmod(bed.folder.path("other"), 0o600)
    let objects = try Shell.run("find", [bed.folder.path("nas")]).stdout
    for arguments in [["sync"], ["sync", "--dry-run"]] {
      let result = try Shell.run(
        CommandBed.program, arguments + ["--key-file", "other"], environment: bed.environment(), in: bed.folder.path)
      #expect(result.status == 5 && result.stderr.contains("does not open the newest backup"), "\(result)")
      #expect(result.stderr.contains("holdfast: hint: "))
    }
    #expect(try Shell.run("find", [bed.folder.path("nas")]).stdout == objects)
    let shown = try bed.succeed("targets", "--key-file", "other")
    #expect(shown.contains("State        ! nothing is sent: the password or key does not open"), "\(shown)")
    #expect(try decode([State].self, bed.succeed("targets", "--json", "--key-file", "other"))[0].state == "wrong_key")
    let check = try bed.run("targets", "check", "--key-file", "other")
    #expect(check.status == 1 && check.stdout.contains("✗ target nas: nas/app: nothing is sent: the "), "\(check)")
    #expect(try bed.succeed("sync").hasPrefix("nas: 1 backup uploaded"))
  }

  @Test("Nothing is written below a mount point without its disk, until --new-folder accepts it")
  func newFolder() throws {
    let bed = try CommandBed.withFolderTarget()
    _ = try bed.create()
    try bed.succeed("sync")
    try bed.python("import os, sys; os.rename(sys.argv[1], sys.argv[1] + '-disk')", bed.folder.path("nas"))
    mkdir(bed.folder.path("nas"), 0o700)
    for arguments in [["sync"], ["sync", "--dry-run"], ["targets", "take-over", "nas", "--yes"]] {
      let result = try Shell.run(
        CommandBed.program, arguments, environment: bed.environment(), in: bed.folder.path)
      #expect(result.status == 8 && result.stderr.contains("is not the folder that this host has"), "\(result)")
      #expect(result.stderr.contains("holdfast sync nas --new-folder"), "\(result)")
    }
    for arguments in [["targets", "check"], ["doctor", "--no-probe"]] {
      let result = try Shell.run(CommandBed.program, arguments, environment: bed.environment(), in: bed.folder.path)
      #expect(result.status == 1 && result.stdout.contains("✗ target nas: nas/app is not the folder"), "\(result)")
    }
    #expect(try Shell.run("find", [bed.folder.path("nas"), "-mindepth", "1"]).stdout.isEmpty)
    let nameless = try bed.run("sync", "--new-folder")
    #expect(nameless.status == 64 && nameless.stderr.contains("--new-folder needs the name of a target"))
    #expect(try bed.succeed("sync", "nas", "--new-folder").hasPrefix("nas: 1 backup uploaded"))
    #expect(try bed.succeed("sync").hasPrefix("nas: nothing to upload"))
  }

  @Test("A file in place of the folder is named, with a hint")
  func file() throws {
    let bed = try CommandBed.withFolderTarget()
    _ = try bed.create()
    rmdir(bed.folder.path("nas"))
    try bed.folder.write("nas", [1])
    let result = try bed.run("sync", "--once")
    #expect(result.status == 4 && result.stderr.contains("nas is not a folder\nholdfast: hint: "), "\(result)")
  }

  @Test("targets check reports archives that are gone, and sync sends them again")
  func gone() throws {
    let bed = try CommandBed.withFolderTarget()
    _ = try bed.makeChain(incrementals: 1)
    try bed.succeed("sync")
    try bed.python(
      "import glob, os, sys; [os.unlink(path) for path in glob.glob(sys.argv[1] + '/app/*/points/*/*-full-*')]",
      bed.folder.path("nas"))
    let check = try bed.run("targets", "check")
    #expect(check.status == 1 && check.stdout.contains("✗ target nas: content: 2 backups that it had cannot"))
    let again = try bed.run("sync")
    #expect(again.stderr.isEmpty && again.status == 0 && again.stdout.contains(" uploaded"), "\(again)")
    #expect(try bed.run("targets", "check").stdout.contains("✓ target nas: content: no archive is missing, by name"))
  }

  @Test("cleanup keeps a backup until the target has it")
  func cleanup() throws {
    let bed = try CommandBed.withFolderTarget()
    let first = try bed.create()
    _ = try bed.create()
    let kept = try bed.succeed("cleanup", "--keep", "1", "--dry-run")
    #expect(kept.contains("not yet on nas"), "\(kept)")
    try bed.succeed("cleanup", "--keep", "1")
    #expect(try bed.succeed("list").contains(first))
    try bed.succeed("sync")
    try bed.succeed("cleanup", "--keep", "1")
    #expect(try !bed.succeed("list").contains("\(first)\n"))
  }

  @Test("doctor looks at the targets")
  func doctor() throws {
    let bed = try CommandBed.withFolderTarget()
    _ = try bed.create()
    try bed.succeed("sync")
    let sound = try bed.run("doctor", "--no-probe")
    #expect(sound.stdout.contains("✓ target nas: nas/app: up to date, 1 object, "), "\(sound)")
    #expect(sound.stdout.contains("! target nas: disk: "))
    rmdir(bed.folder.path("nas"))
    try bed.folder.write("holdfast.toml", Array("target = \"gone\"\n".utf8))
    let broken = try bed.run("doctor", "--no-probe")
    #expect(broken.status == 1 && broken.stdout.contains("✗ target gone: "), "\(broken)")
    try bed.folder.write("holdfast.toml", Array("[[targets]]\nurl = \"x\"\naccess = \"all\"\n".utf8))
    let wrong = try bed.run("doctor", "--no-probe")
    #expect(wrong.status == 1 && wrong.stdout.contains("✗ targets: holdfast.toml:3:10: access is \"all\""), "\(wrong)")
  }

  @Test("A command below targets with a slip is named, and the help of targets lists its commands")
  func subcommands() throws {
    let bed = try CommandBed.withFolderTarget()
    let result = try bed.run("targets", "chekc")
    #expect(
      result.status == 64
        && result.stderr == """
          holdfast: error: unknown command 'targets chekc'; did you mean 'targets check'?
          holdfast: hint: holdfast help targets lists its commands

          """
    )
    for arguments in [["targets", "--help"], ["help", "targets"]] {
      let help = try Shell.run(CommandBed.program, arguments, environment: bed.environment())
      #expect(help.stdout.contains("\nUSAGE: holdfast targets [<subcommand>] [<options>]\n"), "\(help)")
      #expect(help.stdout.contains("\n  targets check "))
    }
    #expect(
      try bed.succeed("targets", "check", "--help").contains("\nUSAGE: holdfast targets check [<name>] [<options>]\n"))
    let wrong = try bed.run("targets", "--bogus")
    #expect(wrong.status == 64 && wrong.stderr.contains("hint: holdfast targets --help lists its options"), "\(wrong)")
  }

  @Test("The policies for keys allow what their access mode needs, and no more")
  func policies() throws {
    struct Policy: Decodable {
      struct Statement: Decodable {
        var Effect: String
        var Action: Actions
      }
      struct Actions: Decodable {
        var names: [String]
        init(from decoder: any Decoder) throws {
          let container = try decoder.singleValueContainer()
          names = try (try? [container.decode(String.self)]) ?? container.decode([String].self)
        }
      }
      var Statement: [Statement]
    }
    func actions(_ name: String) throws -> Set<String> {
      let text = try String(
        contentsOf: URL(filePath: "\(projectFolder)/contrib/targets/\(name).json"), encoding: .utf8)
      let policy = try JSONDecoder().decode(Policy.self, from: Data(text.utf8))
      #expect(policy.Statement.allSatisfy { $0.Effect == "Allow" })
      return Set(policy.Statement.flatMap(\.Action.names))
    }
    let (full, append, writeOnly) = (try actions("full"), try actions("append"), try actions("write-only"))
    #expect(full.isSuperset(of: ["s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject"]))
    // Remains of crashed uploads are looked for only if they may be removed.
    #expect(
      full.subtracting(append) == ["s3:DeleteObject", "s3:ListBucketMultipartUploads"] && append.isSubset(of: full))
    #expect(writeOnly == ["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"])
  }
}
