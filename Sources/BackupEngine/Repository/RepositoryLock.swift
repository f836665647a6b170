import BackupPolicy
import Glibc

/// How long a command waits for another one that holds a repository.
package struct LockPatience: Sendable {
  /// Milliseconds.
  package var milliseconds: Int
  package init(milliseconds: Int) { self.milliseconds = milliseconds }
}

/// One holding of the exclusive lock.
struct LockVisit {
  /// Nobody else held the lock since the visit that left the given mark.
  let isUndisturbed: Bool
  /// What this visit left in the lock's file; nil where it could not.
  let mark: [UInt8]?

  private static let size = 16

  init(_ file: OpenFile, since known: [UInt8]?, _ files: any FileOperations) throws {
    var found = [UInt8](repeating: 0, count: Self.size)
    let count = try found.withUnsafeMutableBytes { try files.read(file, into: $0, at: 0) }
    isUndisturbed = known != nil && count == Self.size && found == known
    let own = try SecretBytes.random(Self.size)
    do {
      try own.withUnsafeBytes { try files.write(file, $0, at: 0) }
      mark = own
    } catch {
      // A full disk must not keep anybody from removing points; whoever comes next looks at everything.
      mark = nil
    }
  }
}

extension Repository {
  /// Runs `body` while nobody else stores, removes or opens; leftovers of killed runs are removed first.
  ///
  /// - Throws: `busy` where another process holds the repository for longer than `patience`.
  package func exclusively<Result>(
    patience: LockPatience = .init(milliseconds: 30000), _ body: () throws -> Result
  ) throws -> Result {
    try exclusively(patience: patience, since: nil) { _ in try body() }
  }

  /// The same for somebody who holds it again and again: tells whether nobody else did in between.
  ///
  /// Everyone who takes the lock leaves a mark of their own in its file, so this costs no look at the folder.
  func exclusively<Result>(
    patience: LockPatience, since mark: [UInt8]?, _ body: (LockVisit) throws -> Result
  ) throws -> Result {
    try locked(exclusive: true, patience) { file in
      let visit = try LockVisit(file, since: mark, files)
      if !visit.isUndisturbed {
        for folder in [folder, path(".metadata"), path(".state")] { try removeLeftovers(in: folder) }
      }
      return try body(visit)
    }
  }

  /// Runs `body`, which opens files, while nobody removes any. A read-only repository needs no lock.
  func shared<Result>(patience: LockPatience = .init(milliseconds: 30000), _ body: () throws -> Result) throws -> Result
  {
    guard try files.status(path(".state")) != nil else { return try body() }
    do {
      return try locked(exclusive: false, patience) { _ in try body() }
    } catch let error as HoldfastError where error.code == .permissionDenied && error.message.contains("/.state/lock") {
      return try body()
    }
  }

  private func locked<Result>(
    exclusive: Bool, _ patience: LockPatience, _ body: (OpenFile) throws -> Result
  ) throws -> Result {
    if exclusive, try files.status(path(".state")) == nil { try files.makeFolder(path(".state")) }
    let file = try files.open(path(".state/lock"), .lockFile)
    // Closing releases the flock.
    defer { files.close(file) }
    var waited = 0
    while try !files.lock(file, exclusive: exclusive, wait: false) {
      guard waited < patience.milliseconds else {
        throw HoldfastError(
          .busy, "the backup folder \(folder) is in use by another holdfast",
          hint: "wait until it is done, then try again")
      }
      usleep(20000)
      waited += 20
    }
    return try body(file)
  }

  /// Removes temporary files of runs that died: ours by name, with a lock that nobody holds.
  fileprivate func removeLeftovers(in folder: String) throws {
    guard try files.status(folder)?.kind == .folder else { return }
    for name in try files.list(folder) where Leftovers.isOurs(name) {
      Leftovers.remove("\(folder)/\(name)", files)
    }
  }
}

extension Repository {
  /// A folder for decrypted files that live for one command: this host's own, for whoever can read the repository must not
  /// be able to read them, and whoever can write there must not be able to swap them.
  func scratchFolder() throws -> String {
    let scratch = "\(hostStates.folder)/scratch"
    try files.makeFolders(scratch)
    try removeLeftovers(in: scratch)
    return scratch
  }

  /// What the path of SQLite's own copy of a database begins with: see `DatabaseSnapshot`.
  package func scratchCopyPath() throws -> String { "\(try scratchFolder())/.tmp-copy" }
}

/// Temporary files: each is locked by the run that made it, for as long as that run lives.
enum Leftovers {
  static let digestsPrefix = ".tmp-digests"
  /// What our own temporary names begin with; anything else is somebody's file.
  private static let prefixes = [
    ".tmp-backup_", ".tmp-verify-", ".tmp-copy-", ".tmp-stage-", ".tmp-point-", ".tmp-holdfast-", digestsPrefix + "-",
    // Decrypted pages that older versions left in a repository.
    ".tmp-look",
  ]

  static func isOurs(_ name: String) -> Bool {
    prefixes.contains { name.hasPrefix($0) } || (name.hasPrefix(".tmp-") && name.hasSuffix(".json"))
  }

  /// Removes a temporary file unless its maker still lives. One that cannot be judged or removed stays, and stops nothing.
  static func remove(_ path: String, _ files: any FileOperations) {
    // NFS gives an exclusive lock only to a descriptor that is open for writing.
    guard (try? files.status(path))?.kind == .regular, let file = try? files.open(path, .update) else { return }
    defer { files.close(file) }
    guard (try? files.lock(file, exclusive: true, wait: false)) == true else { return }
    try? files.unlink(path)
  }

  /// Removes what dead runs left in a folder under names that begin so.
  static func remove(in folder: String, beginning prefix: String, _ files: any FileOperations) throws {
    for name in try files.list(folder) where name.hasPrefix(prefix) { remove("\(folder)/\(name)", files) }
  }

  /// Makes and locks a temporary file under a name that nobody else uses.
  ///
  /// Between the making and the lock another run may take it for a leftover and remove it. The name is never given twice, so
  /// that it is still there under the lock proves that it is ours; nobody removes it from then on.
  ///
  /// - Parameter mode: `createPrivate` for decrypted pages, `createNew` for what is to stay in a repository.
  static func make(_ prefix: String, _ files: any FileOperations, _ mode: OpenMode = .createNew) throws -> OpenFile {
    while true {
      let path = "\(prefix)-\(getpid())-\(try SecretBytes.random(6).hex)"
      let file = try files.open(path, mode)
      do {
        if try files.lock(file, exclusive: true, wait: false), try files.status(path) != nil { return file }
      } catch {
        try? files.unlink(path)
        files.close(file)
        throw error
      }
      files.close(file)
    }
  }

  /// Makes a temporary file, runs `body`, and removes the file where `body` throws.
  static func withFile<Result>(
    _ prefix: String, _ files: any FileOperations, _ mode: OpenMode = .createNew, _ body: (OpenFile) throws -> Result
  ) throws -> Result {
    try using(make(prefix, files, mode), files, body)
  }

  /// The same with a file that ``make(_:_:)`` made.
  static func using<Result>(
    _ file: OpenFile, _ files: any FileOperations, _ body: (OpenFile) throws -> Result
  ) throws -> Result {
    defer { files.close(file) }
    do {
      return try body(file)
    } catch {
      try? files.unlink(file.path)
      throw error
    }
  }
}

/// Who holds the agent's lock, as its file says.
package struct AgentLockHolder: CustomStringConvertible {
  private var process: String
  private var host: String?
  private var namespace: String?

  /// Nil if nothing is recorded.
  package init?(record: [UInt8]) {
    let line = String(decoding: record.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    let words = line.split(separator: " ").map(String.init)
    guard let first = words.first else { return nil }
    process = first
    host = words.count > 1 ? words[1] : nil
    namespace = words.count > 2 ? words[2] : nil
  }

  /// The kernel's name for the namespace of this process's ID, `pid:[4026531836]`; `-` if it cannot be read.
  package static let namespace: String = {
    var buffer = [CChar](repeating: 0, count: 64)
    guard readlink("/proc/self/ns/pid", &buffer, buffer.count - 1) > 0 else { return "-" }
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }()

  /// The ID is a container's own if it was recorded in another namespace.
  package var description: String {
    let isForeign = namespace.map { $0 != Self.namespace } ?? false
    return "process \(process)" + (isForeign ? " of another container" : "") + (host.map { " on \($0)" } ?? "")
  }
}
