import BackupEngine
import BackupPolicy
import ObjectStorage

/// The mark by which this host recognises the folder of a target: an object with a random number in its
/// key, which this host remembers. Buckets have none.
final class FolderMark {
  private let folder: RemoteFolder
  private let memo: TargetMemo
  private let target: Target
  /// The mark in the folder; nil before the first write.
  private var mark: UInt64?

  init(_ folder: RemoteFolder, _ memo: TargetMemo, _ target: Target) {
    (self.folder, self.memo, self.target) = (folder, memo, target)
  }

  /// Looks for a known mark. It costs no request.
  ///
  /// - Throws: `refused` if it is not the folder that this host has used.
  func find() throws {
    guard folder.isOnDisk else { return }
    let known = memo.state.folders
    switch FolderPresence.decide(known: known, found: try folder.marks()) {
    case .there(let mark): try use(mark)
    case .new: mark = nil
    case .absent: throw FolderPresence.error(target.address, target: target.name, places: places(of: known))
    }
  }

  /// Makes the mark before the first write.
  func ensure() throws {
    guard folder.isOnDisk, mark == nil else { return }
    let mark = leadingNumber(of: try SecretBytes.random(8))
    try folder.put(mark: mark)
    try use(mark)
  }

  /// - Throws: ``ChangedTarget`` if the folder is not the one that was found.
  func require() throws {
    guard let mark, try !folder.has(mark: mark) else { return }
    throw ChangedTarget()
  }

  /// Accepts the folder that is there now beside those that are known.
  func accept() throws {
    if let found = try folder.marks().min() { return try use(found) }
    try ensure()
  }

  private func use(_ mark: UInt64) throws {
    self.mark = mark
    guard let last = memo.state.folders.first, last != mark else {
      if memo.state.folders.isEmpty { try memo.change(isDurable: true) { $0.folders = [mark] } }
      return
    }
    memo.forgetArchives()
    try memo.change(isDurable: true) { state in
      // Another disk has other archives and writer records, and perhaps another file system.
      state.folders = [mark] + state.folders.filter { $0 != mark }.prefix(Self.mostFolders - 1)
      (state.writer, state.hasConditions) = (nil, nil)
    }
  }

  private func places(of marks: [UInt64]) -> [String] {
    guard case .folder(let path) = target.url else { return [] }
    return marks.map { "\(path)/\(folder.placeOfMark($0))" }
  }

  /// Disks that are used in turns.
  private static let mostFolders = 32
}
