import BackupPolicy
import Glibc

/// The reason why there can be no folder at a path.
enum FolderObstacle: Hashable {
  /// A symbolic link leads to a path that does not exist, such as one on a disk that is not mounted.
  case danglingLink(String, target: String)
  /// A file stands in the place of a folder.
  case file(String)

  /// Nil if there is a folder, or if one can be made there.
  init?(at path: String) {
    var part = path.absolutePath
    while true {
      var status = stat()
      if lstat(part.raw, &status) == 0 { break }
      guard errno == ENOENT || errno == ENOTDIR, part != "/" else { return nil }
      part = part.parentPath
    }
    var status = stat()
    if stat(part.raw, &status) == 0 {
      guard status.st_mode & S_IFMT != S_IFDIR else { return nil }
      self = .file(part)
    } else {
      guard [ENOENT, ENOTDIR, ELOOP].contains(errno), let target = part.linkTarget else { return nil }
      self = .danglingLink(part, target: target)
    }
  }

  var problem: String {
    switch self {
    case .danglingLink(let link, let target): "\(link) is a symbolic link to \(target), which does not exist"
    case .file(let file): "\(file) is not a folder"
    }
  }

  var hint: String {
    switch self {
    case .danglingLink(let link, _):
      "mount the disk to which the link leads, or remove the link: rm \(link.shellWord)"
    case .file(let file): "inspect it with ls -ld \(file.shellWord), move it away, and try again"
    }
  }
}
