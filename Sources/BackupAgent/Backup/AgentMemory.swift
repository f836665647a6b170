import BackupEngine
import BackupPolicy
import Glibc
import SQLitePages

/// Which state of the database the agent's last point holds, kept in the repository's `.state/agent.json`.
///
/// It can be lost at any time: the next start then takes one backup that might not have been needed, and compares all pages for
/// it.
struct AgentMemory: Hashable, Sendable {
  /// The database's path, links resolved.
  var database: String
  /// See ``DatabaseState/fingerprint``; nil where it proves nothing, so that no state counts as the one that is stored.
  var fingerprint: String?
  var point: PointID
  /// The point's archive.
  var filename: String
  /// What the database was like; nil where an older version wrote this.
  var content: ContentFacts?
  /// From where the point's pages were followed; nil where they were not, or nothing could be proved with it later.
  var followed: SavedPosition?

  private static let name = ".state/agent.json"

  private var json: JSONValue {
    var keys: JSONObject = [
      "database": .string(database), "backup_id": .string(point.text), "filename": .string(filename),
    ]
    keys["fingerprint"] = fingerprint.map { .string($0) }
    if let content {
      keys["content"] = .object([
        "file": .string(content.file), "used_bytes": .integer(content.usedBytes), "tables": .integer(content.tables),
      ])
    }
    keys["followed"] = followed?.json
    return .object(keys)
  }

  /// Reads it; nil where there is none, or none that can be used.
  static func load(_ repository: Repository) -> AgentMemory? {
    guard let bytes = try? repository.files.contents(repository.path(name), limit: 1 << 20),
      case .object(let keys)? = JSONValue(parsing: bytes), case .string(let database)? = keys["database"],
      case .string(let id)? = keys["backup_id"], let point = PointID(id),
      case .string(let filename)? = keys["filename"]
    else { return nil }
    var memory = AgentMemory(
      database: database, point: point, filename: filename, content: keys["content"].flatMap { ContentFacts($0) },
      followed: keys["followed"].flatMap { SavedPosition($0) })
    if case .string(let fingerprint)? = keys["fingerprint"] { memory.fingerprint = fingerprint }
    return memory
  }

  /// Writes it. Unflushed: after a loss of power an older one names an older point, and one that is torn is none. It is the only
  /// write, so that what a stored point costs stays the same however much is remembered.
  ///
  /// Without the repository's lock, for the agent that holds `agent.lock` is the only one to write it; and under a name that
  /// nobody takes for the leftover of a backup.
  func save(_ repository: Repository) throws {
    let (path, temporary) = (repository.path(Self.name), repository.path(Self.name + ".new"))
    let files = repository.files
    try files.unlink(temporary)
    let file = try files.open(temporary, .createNew)
    defer { files.close(file) }
    try json.encoded().withUnsafeBytes { try files.write(file, $0, at: 0) }
    try files.rename(temporary, to: path)
  }
}

extension ContentFacts {
  fileprivate init?(_ json: JSONValue) {
    guard case .object(let keys) = json, case .string(let file)? = keys["file"],
      case .integer(let usedBytes)? = keys["used_bytes"], case .integer(let tables)? = keys["tables"]
    else { return nil }
    self.init(file: file, usedBytes: usedBytes, tables: tables)
  }
}

/// From where a point's pages were followed, kept for the next process of the agent.
///
/// What was committed since is proved by the files themselves, as at any other step of the tracker (``TrackerProof``, but for
/// the one that needs a connection that stayed open). This tells what makes the files themselves no evidence any more: each is
/// a reason to compare all pages.
struct SavedPosition: Hashable, Sendable {
  /// The digest of the point whose state it is. An ID alone could come back with another content where a repository was copied,
  /// or rolled back.
  var digest: String
  var position: TrackerPosition
  var run: MachineRun

  /// Why it says nothing of the present state of the database; nil where it does.
  ///
  /// - Parameters:
  ///   - newest: the point that it is to be followed from.
  ///   - now: nil where the system does not tell.
  func objection(newest: StoredPoint, now: MachineRun?) -> String? {
    guard newest.metadata.digest == digest else { return "\(newest.id) is not the point that was followed" }
    guard let now, now.boot == run.boot else { return "the machine was started anew since it was followed" }
    // A stamp is settled when the file is older than that; so this cannot bring its times back.
    let margin = FileClock.tick / 2_000_000
    guard now.clockOffset >= run.clockOffset - margin else { return "the clock was set back since it was followed" }
    return nil
  }
}

/// One run of the machine from its start, and its clock.
///
/// A machine that lost power may also have lost what SQLite had written and not flushed: pages that a position had seen are then
/// gone, and no look at the files tells. And a clock that was set back may give a later write the times of an earlier one.
struct MachineRun: Hashable, Sendable {
  /// The kernel's name for it.
  var boot: String
  /// Milliseconds of the wall clock, less those of the clock that nobody sets.
  var clockOffset: Int64

  /// Now; nil where the system does not tell.
  static func current() -> MachineRun? {
    guard let name else { return nil }
    return MachineRun(boot: name, clockOffset: SystemClock.now().milliseconds - SystemClock.monotonic())
  }

  /// It cannot change while this process lives.
  private static let name: String? = {
    guard let file = fopen("/proc/sys/kernel/random/boot_id", "re") else { return nil }
    defer { fclose(file) }
    var line = [UInt8](repeating: 0, count: 64)
    let count = fread(&line, 1, line.count, file)
    let name = String(decoding: line.prefix(count), as: UTF8.self).filter { !$0.isWhitespace }
    return name.isEmpty ? nil : name
  }()
}

extension SavedPosition {
  var json: JSONValue? {
    guard let text = position.text else { return nil }
    return .object([
      "digest": .string(digest), "position": .string(text), "boot": .string(run.boot),
      "clock_offset_ms": .integer(run.clockOffset),
    ])
  }

  /// Nil for anything but what ``json`` gives, in its present version.
  init?(_ json: JSONValue) {
    guard case .object(let keys) = json, case .string(let digest)? = keys["digest"],
      case .string(let text)? = keys["position"], let position = TrackerPosition(text: text),
      case .string(let boot)? = keys["boot"], case .integer(let offset)? = keys["clock_offset_ms"]
    else { return nil }
    self.init(digest: digest, position: position, run: MachineRun(boot: boot, clockOffset: offset))
  }
}
