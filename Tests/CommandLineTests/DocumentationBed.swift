import FoundationEssentials
import Glibc
import TestSupport

/// Runs a page of the documentation: its commands in a shell, with the real program first in `PATH`.
///
/// The page's `/srv`, `/home/you`, `/var/backups`, `/etc/holdfast` and `/mnt` are folders of this bed. Commands begin in `/srv/app`.
final class DocumentationBed {
  /// A place at which the page and the program differ.
  struct Difference {
    /// From 0.
    var line: Int
    var message: String
    /// The output to show instead, if the page shows another.
    var output: (lines: Range<Int>, text: [String])?
  }

  private let folder: TemporaryFolder
  private let compared = DocumentationOutput()
  /// `cd`, `export` and `umask` apply to the commands after them, as in one shell.
  private var state = ""
  private var lastStatus: Int32 = 0
  /// The IDs that the page shows, with those of this run.
  private var ids: [String: String] = [:]
  private(set) var differences: [Difference] = []

  init() throws {
    folder = try TemporaryFolder()
    for name in ["srv/app", "home/you", "var/backups", "etc/holdfast", "mnt"] {
      try FileManager.default.createDirectory(atPath: folder.path(name), withIntermediateDirectories: true)
    }
  }

  /// Ends the programs that commands left in the background, such as an agent.
  deinit {
    let started = (try? folder.read("started")).flatMap { $0 } ?? []
    for process in String(decoding: started, as: UTF8.self).split(separator: "\n").compactMap({ pid_t($0) }) {
      kill(process, SIGTERM)
      for _ in 0..<100 where kill(process, 0) == 0 { usleep(50_000) }
    }
  }

  func run(_ page: DocumentationPage) throws {
    for (line, part) in page.parts {
      switch part {
      case .hidden(let commands):
        let result = try shell(commands, helpers: true)
        if result.status != 0 { report(line, "the preparation ended with \(result.status)", result.lines) }
      case .file(let path, let content): try write(content, to: path)
      case .console(let commands):
        for index in commands.indices {
          let next = index + 1 < commands.count ? commands[index + 1].text : ""
          try run(commands[index], showsStatus: next.hasPrefix("echo $?"))
        }
      case .json(let prefix, let command, let section):
        try compareFields(line, prefix, command, page.fields(of: section))
      case .notRun: break
      }
    }
  }

  private func report(_ line: Int, _ message: String, _ output: [String]) {
    differences.append(Difference(line: line, message: ([message] + output).joined(separator: "\n")))
  }

  private func run(_ command: DocumentationPage.Command, showsStatus: Bool) throws {
    let result = try shell(command.text, helpers: false)
    lastStatus = result.status
    if ["cd ", "export ", "umask "].contains(where: command.text.hasPrefix) { state += inBed(command.text) + "\n" }
    if result.status != 0, !showsStatus {
      report(command.lines.lowerBound - 1, "`\(command.text)` ended with \(result.status)", result.lines)
    }
    let blank = command.output.reversed().prefix { $0.isEmpty }.count
    if let pairs = compared.pairs(command.output.dropLast(blank), result.lines) {
      for name in pairs.flatMap({ compared.ids($0) }) where ids[name.shown] == nil { ids[name.shown] = name.actual }
    } else {
      let shown = Dictionary(ids.map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
      let text = result.lines.map { compared.replacingIDs(in: $0, by: shown) }
      differences.append(
        Difference(
          line: command.lines.lowerBound - 1,
          message: "`\(command.text)` printed\n" + text.joined(separator: "\n"),
          output: (command.lines.lowerBound..<command.lines.upperBound - blank, text)))
    }
  }

  private func shell(_ commands: String, helpers: Bool) throws -> (status: Int32, lines: [String], text: String) {
    let script = """
      exec 2>&1
      \(helpers ? Self.helpers : "")
      cd \(folder.path("srv/app"))
      \(state)
      (exit \(lastStatus))
      \(inBed(commands))
      status=$?
      [ -z "$!" ] || echo $! >> \(folder.path("started"))
      exit $status
      """
    let path = String(CommandBed.program.prefix(upTo: CommandBed.program.lastIndex(of: "/")!))
    let environment = [
      "PATH": path + ":" + (getenv("PATH").map { String(cString: $0) } ?? ""), "HOME": folder.path("home/you"),
      "TZ": "UTC",
    ]
    let result = try Shell.run("sh", ["-c", script], environment: environment)
    let text = result.stdout.replacing(folder.path, with: "")
    // The lines of CSV end with CR and LF.
    let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).map(String.init)
    return (result.status, lines.dropLast(lines.reversed().prefix { $0.isEmpty }.count), text)
  }

  /// For comments that prepare a block: wait until there are this many backups; copy a repository to
  /// a target.
  private static let helpers = """
    pause() { :; }
    copy_to_target() { python3 \(projectFolder)/Tests/Fixtures/target_copy.py "$@"; }
    await_backups() {
      for _ in $(seq 600); do
        [ "$(holdfast list --json 2> /dev/null | grep -c '"backup_id"')" -ge "$1" ] && return
        sleep 0.1
      done
      holdfast list
      return 1
    }
    await_status() {
      for _ in $(seq 600); do
        holdfast status --json | grep -q '"tone" : "'$1'"' && return
        sleep 0.1
      done
      holdfast status
      return 1
    }
    """

  /// A text of the page with the paths and the IDs of this run.
  private func inBed(_ text: String) -> String {
    let folders = #/(^|[^\w.~-])\/(srv|home\/you|var\/backups|etc\/holdfast|mnt)\b/#
    let moved = text.replacing(folders) { "\($0.1)\(folder.path)/\($0.2)" }
    return compared.replacingIDs(in: moved, by: ids)
  }

  private func write(_ content: String, to path: String) throws {
    let place = path.hasPrefix("/") ? inBed(path) : folder.path("srv/app/\(path)")
    try Data(inBed(content).utf8).write(to: URL(filePath: place))
    chmod(place, 0o600)
  }

  private func compareFields(_ line: Int, _ prefix: String, _ command: String, _ documented: [String: String]) throws {
    let output = try shell(command, helpers: false)
    guard let document = try? JSONDecoder().decode(JSONTree.self, from: Data(output.text.utf8)) else {
      return report(line, "`\(command)` does not print one JSON document", output.lines)
    }
    let problems = FieldTable(documented).problems(of: document, prefix: prefix)
    if documented.isEmpty { report(line, "there is no table of fields for `\(command)`", []) }
    for problem in problems { report(line, "`\(command)`: \(problem)", []) }
  }
}
