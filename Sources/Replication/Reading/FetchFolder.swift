import BackupEngine
import BackupPolicy
import Glibc
import Names

/// A private folder for archives that one command fetches. It is removed at the end of the command.
/// If the command is killed, the next one removes it.
package final class FetchFolder {
  /// For archives, under the names that they have in a repository.
  package let repository: String
  /// For the engine that reads them: it must not mix this copy with the host's records.
  package let state: String
  private let folder: String
  private let lock: OpenFile
  private let files: any FileOperations
  private var isThere = true

  private static let prefix = ".fetch-"
  private static let lockEnd = ".lock"

  /// - Parameter stateFolder: of this host.
  package init(in stateFolder: String, _ files: any FileOperations) throws {
    self.files = files
    let scratch = "\(stateFolder)/scratch"
    try files.makeFolders(scratch)
    Self.removeLeftovers(in: scratch, files)
    (folder, lock) = try Self.make(in: scratch, files)
    repository = "\(folder)/repository"
    state = "\(folder)/state"
    for path in [folder, repository, "\(repository)/.metadata", state] { try files.makeFolder(path) }
  }

  deinit { remove() }

  /// Idempotent.
  package func remove() {
    guard isThere else { return }
    isThere = false
    Self.removeTree(folder, files)
    try? files.unlink(lock.path)
    files.close(lock)
  }

  /// Removes what was fetched, to make room for other archives.
  package func removeArchives() throws {
    for name in try files.list(repository) where ArchiveName(name) != nil { try files.unlink("\(repository)/\(name)") }
    for name in try files.list("\(repository)/.metadata") { try files.unlink("\(repository)/.metadata/\(name)") }
  }

  /// Bytes that may be written here.
  package func freeSpace() throws -> Int64 { try files.freeSpace(folder) }

  package func path(of name: ArchiveName) -> String { "\(repository)/\(name.text)" }
  func metadataPath(of id: PointID) -> String { "\(repository)/.metadata/\(id).json" }
  /// For the beginning of an archive.
  var headPath: String { "\(folder)/head" }

  /// The lock is a file beside the folder, so that it is held before the folder exists.
  private static func make(in scratch: String, _ files: any FileOperations) throws -> (String, OpenFile) {
    while true {
      let folder = "\(scratch)/\(prefix)\(getpid())-\(try SecretBytes.random(6).hex)"
      let file = try files.open(folder + lockEnd, .createPrivate)
      // Between the two calls another command may have removed the file as a leftover.
      if try files.lock(file, exclusive: true, wait: false), try files.status(file.path) != nil {
        return (folder, file)
      }
      files.close(file)
    }
  }

  /// Removes the folders of commands that died. One that cannot be removed stays, and is no error.
  private static func removeLeftovers(in scratch: String, _ files: any FileOperations) {
    for name in (try? files.list(scratch)) ?? [] where name.hasPrefix(prefix) && name.hasSuffix(lockEnd) {
      let path = "\(scratch)/\(name)"
      guard let file = try? files.open(path, .update) else { continue }
      defer { files.close(file) }
      guard (try? files.lock(file, exclusive: true, wait: false)) == true else { continue }
      removeTree(String(path.dropLast(lockEnd.count)), files)
      try? files.unlink(path)
    }
  }

  /// Does not follow links.
  private static func removeTree(_ path: String, _ files: any FileOperations) {
    var status = stat()
    guard lstat(path.raw, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      try? files.unlink(path)
      return
    }
    for name in (try? files.list(path)) ?? [] { removeTree("\(path)/\(name)", files) }
    rmdir(path.raw)
  }
}
