import BackupPolicy
import Glibc
import Names

/// Finds entries of a repository that are not what Holdfast makes under their names, such as a named
/// pipe in place of the lock's file. Opens nothing.
struct StrangeEntries {
  private enum Kind {
    case file
    case folder
    case link
    case pipe
    case socket
    case device

    var words: String {
      switch self {
      case .file: "a file"
      case .folder: "a folder"
      case .link: "a symbolic link"
      case .pipe: "a named pipe"
      case .socket: "a socket"
      case .device: "a device"
      }
    }
  }

  private static let folders = [".metadata", ".state", DrillHistory.name]
  /// Their files are opened without following links.
  private static let locks = [".state/lock", ".state/agent.lock"]

  let repository: String
  let files: any FileOperations

  func find() -> [ExaminationFacts.StrangeEntry] {
    Self.folders.compactMap { strange($0, expected: .folder) }
      + [".state", ".metadata"].flatMap { folder in
        ((try? files.list("\(repository)/\(folder)")) ?? []).sorted().map { "\(folder)/\($0)" }
          .filter { !Self.folders.contains($0) && isOurs($0) }
          .compactMap { strange($0, expected: .file) }
      }
  }

  private func isOurs(_ name: String) -> Bool {
    name.hasPrefix(".state/") || name.hasSuffix(".json")
  }

  /// Nil if the entry is missing, or as expected.
  private func strange(_ name: String, expected: Kind) -> ExaminationFacts.StrangeEntry? {
    let path = "\(repository)/\(name)"
    guard let own = Self.kind(path, followsLinks: false) else { return nil }
    let follows = !Self.locks.contains { $0.isExactly(name) }
    guard own != expected, !(own == .link && follows && Self.kind(path, followsLinks: true) == expected) else {
      return nil
    }
    return .init(path: path, kind: own.words, expected: expected.words)
  }

  private static func kind(_ path: String, followsLinks: Bool) -> Kind? {
    var status = stat()
    guard fstatat(AT_FDCWD, path.raw, &status, followsLinks ? 0 : AT_SYMLINK_NOFOLLOW) == 0 else { return nil }
    return switch status.st_mode & S_IFMT {
    case S_IFREG: .file
    case S_IFDIR: .folder
    case S_IFLNK: .link
    case S_IFIFO: .pipe
    case S_IFSOCK: .socket
    default: .device
    }
  }
}
