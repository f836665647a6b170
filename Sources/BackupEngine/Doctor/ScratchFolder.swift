import BackupPolicy
import Glibc

/// A folder of our own (0700) that goes with everything in it. It is locked for as long as it is used: what a killed run left is
/// removed by the next one.
struct ScratchFolder {
  let path: String
  private let descriptor: Int32
  private static let prefix = ".holdfast-doctor-"

  /// Beside the repository or, where nothing may be created there, inside it.
  static func beside(
    _ repository: String, needing bytes: Int64, _ files: any FileOperations
  ) throws -> ScratchFolder {
    do {
      return try ScratchFolder(in: repository.parentPath, needing: bytes, files)
    } catch let error as HoldfastError where error.code == .permissionDenied {
      return try ScratchFolder(in: repository, needing: bytes, files)
    }
  }

  init(in folder: String, needing bytes: Int64, _ files: any FileOperations) throws {
    try files.makeFolders(folder)
    Self.removeLeftovers(in: folder)
    path = "\(folder)/\(Self.prefix)\(getpid())-\(try SecretBytes.random(4).hex)"
    try files.makeFolder(path)
    descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    _ = flock(descriptor, LOCK_EX | LOCK_NB)
    let free = try files.freeSpace(path)
    guard free >= bytes else {
      remove()
      throw HoldfastError(
        .noSpace, "the probe needs \(ByteCount(bytes)) in \(folder), and \(ByteCount(free)) are free",
        hint: "free some space; --no-probe leaves the probe out")
    }
  }

  func remove() {
    Self.remove(path)
    if descriptor >= 0 { close(descriptor) }
  }

  private static func removeLeftovers(in folder: String) {
    for name in (try? SystemFileOperations().list(folder)) ?? [] where name.hasPrefix(prefix) {
      let path = "\(folder)/\(name)"
      let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
      guard descriptor >= 0 else { continue }
      defer { close(descriptor) }
      if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { remove(path) }
    }
  }

  /// Depth first; links are removed and not followed.
  private static func remove(_ path: String) {
    if unlink(path) == 0 { return }
    for name in (try? SystemFileOperations().list(path)) ?? [] { remove("\(path)/\(name)") }
    rmdir(path)
  }
}
