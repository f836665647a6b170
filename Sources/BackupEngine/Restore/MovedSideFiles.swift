import BackupPolicy
import Glibc

/// The `-wal` and `-journal` that a restore moves away from a target that cannot be opened.
final class MovedSideFiles {
  /// The new and old names, until the restored file is in place.
  private var moved: [(from: String, to: String)] = []
  private let target: String
  private let environment: EngineEnvironment
  private var files: any FileOperations { environment.files }

  init(of target: String, _ environment: EngineEnvironment) {
    self.target = target
    self.environment = environment
  }

  /// Moves the side files away from a path whose file cannot be opened: SQLite would apply them to
  /// the restored file.
  func move(before restored: PointID) throws {
    let inspector = TargetInspector(target, environment)
    for name in try inspector.sideFiles() {
      let old = inspector.side(name)
      let new = try unusedName(old, ".before-\(restored)")
      try files.renameNew(old, to: new)
      moved.append((from: new, to: old))
    }
    try files.unlink(target + "-shm")
    try files.syncFolder(target.parentPath)
  }

  /// Keeps the files under their new names, which it returns. Called when the restored file is in
  /// place.
  func keepAside() -> [String] {
    defer { moved = [] }
    return moved.map(\.from)
  }

  /// Moves all files back. Called if the restore failed before the rename; that failure is
  /// reported, and not one of this function.
  func putBack() {
    for file in moved.reversed() {
      do {
        if try files.status(file.to) == nil { try files.rename(file.from, to: file.to) }
      } catch {
        environment.logger.error("\(file.from) could not be moved back to \(file.to): \(error)")
      }
    }
    moved = []
  }

  /// Files that an earlier restore moved aside stay. A name that becomes too long for a file system
  /// is cut before the suffix.
  private func unusedName(_ old: String, _ suffix: String) throws -> String {
    func name(_ number: Int) -> String {
      let end = number == 0 ? suffix : "\(suffix)-\(number)"
      return "\(old.parentPath)/\(old.lastComponent.cut(toBytes: Int(NAME_MAX) - end.utf8.count))\(end)"
    }
    var number = 0
    while try files.status(name(number)) != nil { number += 1 }
    return name(number)
  }
}
