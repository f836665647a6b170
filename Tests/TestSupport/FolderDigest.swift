import BackupEngine
import BackupPolicy
import Glibc

/// The content of a folder, to show that nothing changed.
package struct FolderDigest: Equatable, Sendable {
  package struct Entry: Equatable, Sendable {
    /// `st_mode`: kind and permission bits.
    package var mode: UInt32
    package var inode: UInt64
    /// Bytes of a file; 0 for anything else.
    package var size: Int
    /// Nanoseconds since the epoch; nil if times were not requested.
    package var modified: Int64?
    /// A file's bytes, or a symbolic link's target.
    package var content: [UInt8]

    package static func == (left: Entry, right: Entry) -> Bool {
      left.mode == right.mode && left.inode == right.inode && left.modified == right.modified
        && Bytes.same(left.content, right.content)
    }
  }

  /// By path below the folder; the folder itself is `.`.
  package private(set) var entries: [String: Entry] = [:]

  /// Reads a folder, or a single file.
  ///
  /// The bytes are read by another process (`cp`): opening and closing a database here would drop
  /// the POSIX locks of every SQLite connection of this process to it.
  ///
  /// - Parameters:
  ///   - path: the folder or file to read.
  ///   - times: also compare modification times.
  ///   - suffixes: names that end so are left out, for example `-shm`.
  package static func of(
    _ path: String, times: Bool = false, ignoring suffixes: [String] = []
  ) throws -> FolderDigest {
    let scratch = try TemporaryFolder()
    let result = try Shell.run("cp", ["-a", "--", path, scratch.path("copy")])
    guard result.status == 0 else {
      throw HoldfastError(.failed, "cannot copy \(path): \(result.stderr)")
    }
    var digest = FolderDigest()
    try digest.add(".", at: path, copy: scratch.path("copy"), times: times, ignoring: suffixes)
    return digest
  }

  private mutating func add(
    _ name: String, at path: String, copy: String, times: Bool, ignoring suffixes: [String]
  ) throws {
    if suffixes.contains(where: name.hasSuffix) { return }
    var status = stat()
    guard lstat(path, &status) == 0 else { throw HoldfastError(errno: errno, "stat", path) }
    var entry = Entry(mode: status.st_mode, inode: UInt64(status.st_ino), size: 0, content: [])
    if times { entry.modified = Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec) }
    switch status.st_mode & S_IFMT {
    case S_IFREG:
      entry.content = try SystemFileOperations().contents(copy) ?? []
      entry.size = entry.content.count
    case S_IFLNK:
      entry.content = linkTarget(path)
    case S_IFDIR:
      for child in try SystemFileOperations().list(copy) {
        let childName = name == "." ? child : "\(name)/\(child)"
        try add(childName, at: "\(path)/\(child)", copy: "\(copy)/\(child)", times: times, ignoring: suffixes)
      }
    default: break
    }
    entries[name] = entry
  }

  private func linkTarget(_ path: String) -> [UInt8] {
    var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = buffer.withUnsafeMutableBytes { readlink(path, $0.baseAddress!, $0.count) }
    return Array(buffer.prefix(max(0, count)))
  }
}

extension FolderDigest {
  /// The differences of a later state, a line each; empty if there are no differences.
  package func differences(to later: FolderDigest) -> [String] {
    Set(entries.keys).union(later.entries.keys).sorted().compactMap { name in
      switch (entries[name], later.entries[name]) {
      case (let old?, let new?): old == new ? nil : "changed \(name): \(Self.difference(old, new))"
      case (nil, let new?): "added \(name) (\(new.size) bytes)"
      case (let old?, nil): "removed \(name) (\(old.size) bytes)"
      case (nil, nil): nil
      }
    }
  }

  private static func difference(_ old: Entry, _ new: Entry) -> String {
    var parts: [String] = []
    if old.mode != new.mode { parts.append("mode \(String(old.mode, radix: 8)) → \(String(new.mode, radix: 8))") }
    if old.inode != new.inode { parts.append("another inode") }
    if old.size != new.size { parts.append("\(old.size) → \(new.size) bytes") }
    if let offset = zip(old.content, new.content).enumerated().first(where: { $1.0 != $1.1 })?.offset {
      parts.append("content from byte \(offset)")
    }
    if old.modified != new.modified { parts.append("modification time") }
    return parts.joined(separator: ", ")
  }
}
