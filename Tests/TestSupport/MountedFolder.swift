import BackupEngine
import BackupPolicy
import Glibc

/// A kind of file system on which tests run.
package enum FileSystemKind: String, CaseIterable, Sendable, CustomStringConvertible {
  case ext4, xfs, btrfs, tmpfs, overlay
  /// Inodes of 128 bytes have no room for parts of a second.
  case ext4SmallInodes = "ext4 with 128-byte inodes"
  case ext3
  case fat
  /// A network share's limits, through a program of these tests; see
  /// ``MountedFolder/init(_:options:)``.
  case odd = "FUSE"

  package var description: String { rawValue }

  /// Whether equal time stamps can prove that a file was not written.
  package var hasFineStamps: Bool { ![.ext4SmallInodes, .ext3, .fat, .odd].contains(self) }

  /// Whether SQLite's log and the modes of files work on it as elsewhere.
  package var isPOSIX: Bool { self != .fat }

  /// MiB of an image, and the command that formats it; nil if it needs none.
  fileprivate var image: (size: Int64, format: [String])? {
    switch self {
    case .ext4: (64, ["mkfs.ext4", "-q", "-F", "-I", "256"])
    case .ext4SmallInodes: (64, ["mkfs.ext4", "-q", "-F", "-I", "128"])
    case .ext3: (64, ["mkfs.ext3", "-q", "-F", "-I", "128"])
    case .xfs: (320, ["mkfs.xfs", "-q"])
    case .btrfs: (128, ["mkfs.btrfs", "-q"])
    case .fat: (64, ["mkfs.vfat"])
    case .tmpfs, .overlay, .odd: nil
    }
  }
}

/// A file system of its own for one test, unmounted and removed with it.
package final class MountedFolder: Sendable {
  package let path: String
  private let folder: TemporaryFolder

  /// Returns nil and prints a line on standard error if the file system cannot be mounted here: no
  /// root, no loop device, or a kernel or machine without that file system.
  ///
  /// - Parameter options: of ``FileSystemKind/odd``: `stamps=2`, `folder_sync=22`, `lock=37`,
  ///   `numbers=0`.
  package init?(_ kind: FileSystemKind, options: [String] = ["stamps=2"]) throws {
    folder = try TemporaryFolder()
    path = folder.path("mount")
    try SystemFileOperations().makeFolder(path)
    do {
      try Self.mount(kind, folder, path, options)
    } catch let error as HoldfastError {
      tell("not tested on \(kind): \(error.message)")
      return nil
    }
  }

  /// One file system may be mounted on another one.
  deinit {
    while (try? Shell.run("umount", ["-l", path], environment: Self.paths).status) == 0 {}
  }

  package func path(_ name: String) -> String { "\(path)/\(name)" }

  private static func mount(
    _ kind: FileSystemKind, _ folder: TemporaryFolder, _ path: String, _ options: [String]
  ) throws {
    if let (size, format) = kind.image {
      let image = folder.path("image")
      try run(["truncate", "-s", "\(size)M", image])
      try run(format + [image])
      try run(["mount", "-o", "loop", image, path])
      return
    }
    switch kind {
    case .tmpfs: try run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", path])
    case .overlay: try mountOverlay(folder, path)
    default: try mountOdd(folder, path, options)
    }
  }

  /// Its layers are on a tmpfs: an overlay cannot be on another overlay, and a container's folders
  /// often are.
  private static func mountOverlay(_ folder: TemporaryFolder, _ path: String) throws {
    try run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", path])
    let layers = ["lower", "upper", "work", "merged"].map { "\(path)/\($0)" }
    try run(["mkdir"] + layers)
    let options = "lowerdir=\(layers[0]),upperdir=\(layers[1]),workdir=\(layers[2])"
    do {
      try run(["mount", "-t", "overlay", "-o", options, "overlay", path])
    } catch {
      try run(["umount", path])
      throw error
    }
  }

  private static func mountOdd(_ folder: TemporaryFolder, _ path: String, _ options: [String]) throws {
    let program = folder.path("odd_file_system")
    let flags = try run(["pkg-config", "--cflags", "--libs", "fuse3"]).split(whereSeparator: \.isWhitespace)
    try run(
      ["gcc", "-O1", "-o", program, "\(projectFolder)/Tests/Fixtures/odd_file_system.c"] + flags.map(String.init))
    let below = folder.path("below")
    try SystemFileOperations().makeFolder(below)
    // It continues in the background as soon as it is mounted, and ends when it is unmounted.
    try run([program, below, path] + options)
  }

  @discardableResult
  private static func run(_ command: [String]) throws -> String {
    let result = try Shell.run(command[0], Array(command.dropFirst()), environment: paths)
    guard result.status == 0 else {
      let reason = result.stderr.split(separator: "\n").first ?? ""
      throw HoldfastError(.failed, "\(command[0]): exit \(result.status), \(reason)")
    }
    return result.stdout
  }

  /// The tools that create file systems belong to root.
  private static let paths = [
    "PATH": (getenv("PATH").map { String(cString: $0) } ?? "") + ":/usr/local/sbin:/usr/sbin:/sbin"
  ]
}

private func tell(_ line: String) {
  let bytes = Array("\(line)\n".utf8)
  _ = bytes.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
}
