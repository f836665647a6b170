import BackupEngine
import BackupPolicy
import Glibc

extension PowerLossJournal {
  /// Turns the real files into the part that survives.
  func losePower(_ survival: inout Survival) throws {
    for inode in inodes.values.sorted(by: { $0.serial < $1.serial }) where inode.isDirty {
      try inode.losePower(&survival)
    }
    try settleNames(changes.surviving(survival.namesThatSurvive(of: changes.count)))
  }

  /// A slot whose name on the disk has to change.
  private struct Correction {
    var slot: Slot
    var live: Inode?
    var final: Inode?
  }

  /// Gives every slot the inode that the surviving changes leave there.
  ///
  /// First everything in a wrong place moves aside, then it all moves to its place (another file
  /// may still have the needed name). A file that stays aside has lost its only name.
  private func settleNames(_ survivors: [NameChange]) throws {
    let corrections = corrections(survivors).filter { self.onDisk($0.slot) == $0.live?.identity }
    guard !corrections.isEmpty else { return }
    let aside = "\(root)/.power-loss-\(getpid())"
    guard mkdir(aside, 0o700) == 0 else { throw HoldfastError(errno: errno, "create the folder", aside) }
    defer { removeTree(aside) }
    var waiting: Set<Int> = []
    for correction in corrections {
      guard let live = correction.live, let folder = folder(correction.slot.folder) else { continue }
      try move(folder.handle, correction.slot.name, to: AT_FDCWD, "\(aside)/\(live.serial)")
      waiting.insert(live.serial)
    }
    for correction in corrections {
      guard let final = correction.final, let folder = folder(correction.slot.folder) else { continue }
      if waiting.remove(final.serial) != nil {
        try move(AT_FDCWD, "\(aside)/\(final.serial)", to: folder.handle, correction.slot.name)
      } else {
        try resurrect(final, in: folder, as: correction.slot.name)
      }
    }
  }

  private func corrections(_ survivors: [NameChange]) -> [Correction] {
    var order: [Slot] = []
    var slots: [Slot: Correction] = [:]
    for edit in changes.flatMap(\.edits) {
      if slots[edit.slot] == nil { order.append(edit.slot) }
      slots[edit.slot, default: Correction(slot: edit.slot, final: edit.before)].live = edit.after
    }
    for edit in survivors.flatMap(\.edits) { slots[edit.slot]?.final = edit.after }
    return order.compactMap { slots[$0] }.filter { $0.live !== $0.final }
  }

  private func onDisk(_ slot: Slot) -> FileIdentity? {
    var status = stat()
    guard let folder = folder(slot.folder), fstatat(folder.handle, slot.name, &status, AT_SYMLINK_NOFOLLOW) == 0
    else { return nil }
    return FileIdentity(status)
  }

  private func move(_ fromFolder: Int32, _ from: String, to toFolder: Int32, _ to: String) throws {
    guard renameat(fromFolder, from, toFolder, to) == 0 else {
      throw HoldfastError(errno: errno, "rename \(from) to", to)
    }
  }

  /// Restores the content of a file without a name under an old name (a nameless inode cannot be
  /// linked again).
  private func resurrect(_ inode: Inode, in folder: Inode, as name: String) throws {
    guard !inode.isFolder else { return }
    let bytes = try inode.opened(O_RDONLY) { try Bytes.contents(of: $0, name) }
    let file = openat(folder.handle, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw HoldfastError(errno: errno, "open", name) }
    defer { close(file) }
    try Bytes.replaceContents(of: file, with: bytes, name)
    fchmod(file, inode.status.st_mode & 0o7777)
  }
}
