import BackupEngine
import BackupPolicy

/// Reads the headers of archives in a target: everybody who can write to it can write names.
struct HeaderProof {
  let folder: RemoteFolder
  let engine: Engine
  let memo: TargetMemo

  /// Compares the newest of these archives with the backup of the same ID here, unless this machine
  /// put it. Backups bind to the one before, so if the newest is the same, all are the same.
  ///
  /// - Returns: the archive if it differs.
  func other(among names: [RemoteName], _ line: WriterLine) throws -> RemoteName? {
    let newest = names.filter { line.counts($0) }.max { ($0.sequence, $0.epoch) < ($1.sequence, $1.epoch) }
    guard let newest, newest.archive.encrypted, !engine.credentials.isEmpty, newest.bytes > 0,
      memo.inventory.archives[newest]?.isProved == false
    else { return nil }
    let head = try folder.get(.archive(newest), range: 0..<min(newest.bytes, Engine.headBytes))
    if try engine.differs(head, newest.archive, repositoryID: folder.repositoryID) { return newest }
    _ = try prove(newest, head)
    return nil
  }

  /// Reads the header of an archive in the target.
  ///
  /// - Returns: whether it is a backup of this repository.
  func prove(_ name: RemoteName) throws -> Bool {
    // Without encryption nothing proves anything.
    guard name.archive.encrypted, !engine.credentials.isEmpty else { return true }
    let count = min(name.bytes, Engine.headBytes)
    guard count > 0 else { return false }
    return try prove(name, folder.get(.archive(name), range: 0..<count))
  }

  private func prove(_ name: RemoteName, _ head: [UInt8]) throws -> Bool {
    guard
      var point = try engine.point(
        ofHead: head, name.archive, bytes: name.bytes, repositoryID: folder.repositoryID),
      point.sequence == name.sequence
    else { return false }
    point.bytes = name.bytes
    try memo.prove(name, point)
    return true
  }
}
