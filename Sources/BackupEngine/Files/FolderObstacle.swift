import BackupPolicy
import Glibc

/// The reason why there can be no folder at a path.
enum FolderObstacle: Hashable {
  /// A symbolic link leads to a path that does not exist, such as one on a disk that is not mounted.
  case danglingLink(String, target: String)
  /// Symbolic links lead to each other.
  case loopingLink(String, target: String)
  /// A file stands in the place of a folder.
  case file(String)

  /// Nil if there is a folder, or if one can be made there.
  init?(at path: String) {
    var part = path.absolutePath
    while true {
      var status = stat()
      if lstat(part.raw, &status) == 0 { break }
      guard [ENOENT, ENOTDIR, ELOOP].contains(errno), part != "/" else { return nil }
      part = part.parentPath
    }
    var status = stat()
    if stat(part.raw, &status) == 0 {
      guard status.st_mode & S_IFMT != S_IFDIR else { return nil }
      self = .file(part)
    } else {
      let code = errno
      guard [ENOENT, ENOTDIR, ELOOP].contains(code), let target = part.linkTarget else { return nil }
      self = code == ELOOP ? .loopingLink(part, target: target) : .danglingLink(part, target: target)
    }
  }

  var problem: String {
    switch self {
    case .danglingLink(let link, let target): "\(link) is a symbolic link to \(target), which does not exist"
    case .loopingLink(let link, let target): "\(link) is a symbolic link to \(target), which leads back to it"
    case .file(let file): "\(file) is not a folder"
    }
  }

  var hint: String {
    switch self {
    case .danglingLink(let link, _):
      "mount the disk to which the link leads, or remove the link: rm \(link.shellWord)"
    case .loopingLink(let link, _): "inspect it with ls -l \(link.shellWord), and remove it with rm \(link.shellWord)"
    case .file(let file): "inspect it with ls -ld \(file.shellWord), move it away, and try again"
    }
  }
}

/// Requirements for the folder of a repository.
extension FolderObstacle {
  /// - Throws: `usage`: no backups can be behind such a link, so the setting is wrong.
  static func requireNoLoop(_ folder: String) throws {
    guard let obstacle = FolderObstacle(at: folder), case .loopingLink = obstacle else { return }
    throw HoldfastError(
      .usage, "there can be no backup folder \(folder): \(obstacle.problem)",
      hint: "\(obstacle.hint), or name another folder with --backup-dir")
  }

  /// - Throws: `refused`: backups may be where the link leads to.
  static func requireNoDanglingLink(_ folder: String) throws {
    guard let obstacle = FolderObstacle(at: folder), case .danglingLink = obstacle else { return }
    throw HoldfastError(
      .refused, "there is no backup folder \(folder): \(obstacle.problem)", hint: obstacle.hint)
  }
}
