import BackupEngine
import BackupPolicy
import Glibc

/// The unflushed names and contents of the files below the root of a ``PowerLoss``.
final class PowerLossJournal {
  /// Without symbolic links.
  let root: String
  /// Changes of names that no flush has made durable, in order. It never contains an empty entry.
  private(set) var changes: [NameChange] = []
  /// Everything with unflushed content, attributes or names, by its present inode number.
  private(set) var inodes: [FileIdentity: Inode] = [:]
  /// Folders that were looked up; nil: outside the root.
  private var folders: [FileIdentity: Inode?] = [:]
  private var lastSerial = 0

  init(root: String) {
    self.root = Self.realPath(root) ?? root
  }

  func created(_ path: String) throws {
    guard let slot = slot(path) else { return }
    append(NameChange(edits: [.init(slot: slot, before: nil, after: try inode(path))]))
  }

  func unlinking(_ path: String) throws -> NameChange? {
    guard let slot = slot(path), let old = try inode(path) else { return nil }
    return NameChange(edits: [.init(slot: slot, before: old, after: nil)])
  }

  func renaming(_ from: String, to: String) throws -> NameChange? {
    guard let moved = try inode(from) else { return nil }
    let replaced = try inode(to)
    guard moved !== replaced else { return nil }
    let old = slot(from).map { NameChange.Edit(slot: $0, before: moved, after: nil) }
    let new = slot(to).map { NameChange.Edit(slot: $0, before: replaced, after: moved) }
    return NameChange(edits: [old, new].compactMap { $0 })
  }

  func append(_ change: NameChange?) {
    if let change, !change.edits.isEmpty { changes.append(change) }
  }

  func folderSynced(_ path: String) {
    guard let folder = FileIdentity(path, following: true) else { return }
    changes.flush(folder)
    forgetWhatIsDurable()
  }

  func synced(_ file: OpenFile) {
    guard let inode = known(file) else { return }
    inode.content = nil
    inode.attributes = nil
  }

  /// The inode of a file before a write, ready to record it; nil outside the root.
  func inodeToWrite(_ file: OpenFile) throws -> Inode? {
    let path = "/proc/self/fd/\(file.descriptor)"
    guard let inode = try known(file) ?? (isBelowRoot(path) ? inode(path, following: true) : nil) else { return nil }
    if inode.content == nil {
      inode.content = UnsyncedContent(durable: try Bytes.contents(of: file.descriptor, file.path))
    }
    return inode
  }

  func attributesChanged(_ path: String, before: FileStatus?) throws {
    guard isBelowRoot(path), let inode = try inode(path, following: true) else { return }
    inode.attributes = inode.attributes ?? before
  }

  /// A folder below the root that was looked up before.
  func folder(_ identity: FileIdentity) -> Inode? {
    folders[identity] ?? nil
  }
}

extension PowerLossJournal {
  /// The slot of a path; nil outside the root.
  private func slot(_ path: String) -> Slot? {
    let parent = path.parentPath
    guard let identity = FileIdentity(parent, following: true) else { return nil }
    if folders[identity] == nil {
      folders[identity] = .some(isBelowRoot(parent) ? try? inode(parent, following: true) : nil)
    }
    return folder(identity) == nil ? nil : Slot(folder: identity, name: path.lastComponent)
  }

  private func known(_ file: OpenFile) -> Inode? {
    var status = stat()
    return fstat(file.descriptor, &status) == 0 ? inodes[FileIdentity(status)] : nil
  }

  /// The inode that a path names; nil if the path does not exist, or is neither a file nor a folder
  /// (and so never lost).
  private func inode(_ path: String, following: Bool = false) throws -> Inode? {
    // Glibc's O_PATH, which is behind _GNU_SOURCE: Linux's asm-generic value.
    let pathOnly: Int32 = 0o10000000
    let handle = open(path, pathOnly | O_CLOEXEC | (following ? 0 : O_NOFOLLOW))
    if handle < 0 {
      if errno == ENOENT || errno == ENOTDIR { return nil }
      throw HoldfastError(errno: errno, "open", path)
    }
    var status = stat()
    fstat(handle, &status)
    let kind = status.st_mode & S_IFMT
    let known = inodes[FileIdentity(status)]
    guard known == nil, kind == S_IFREG || kind == S_IFDIR else {
      close(handle)
      return known
    }
    lastSerial += 1
    let inode = Inode(handle: handle, status, serial: lastSerial)
    inodes[inode.identity] = inode
    return inode
  }

  private func forgetWhatIsDurable() {
    let pending = Set(changes.flatMap(\.edits).flatMap { [$0.before, $0.after] }.compactMap { $0?.identity })
    inodes = inodes.filter { identity, inode in
      pending.contains(identity) || folder(identity) != nil || (inode.isDirty && inode.status.st_nlink > 0)
    }
  }

  private func isBelowRoot(_ path: String) -> Bool {
    guard let real = Self.realPath(path) else { return false }
    return real == root || real.hasPrefix(root + "/")
  }

  private static func realPath(_ path: String) -> String? {
    guard let resolved = realpath(path, nil) else { return nil }
    defer { free(resolved) }
    return String(cString: resolved)
  }
}
