import BackupEngine
import BackupPolicy
import ObjectStorage

/// Reads archives in a target, and finds those whose content is not what their names say.
struct ArchiveAudit {
  let folder: RemoteFolder
  let progress: Progress

  /// Bytes of one request.
  private static let piece: Int64 = 8 << 20

  /// - Parameter report: gets each archive that was read, and whether it is damaged.
  func run(_ names: [RemoteName], _ report: (RemoteName, _ isDamaged: Bool) -> Void) throws {
    let total = names.reduce(Int64(0)) { $0.addingClamped($1.bytes) }
    var done: Int64 = 0
    for name in names {
      try progress.update(.fetching, done, of: total)
      report(name, try !isWhole(name))
      done = done.addingClamped(name.bytes)
    }
    try progress.update(.fetching, total, of: total)
  }

  private func isWhole(_ name: RemoteName) throws -> Bool {
    let hash = try SHA256()
    var start: Int64 = 0
    while start < name.bytes {
      try progress.check()
      let end = min(name.bytes, start + Self.piece)
      guard let bytes = try piece(start..<end, of: name), bytes.count == end - start else { return false }
      try bytes.withUnsafeBytes { try hash.update($0) }
      start = end
    }
    return leadingNumber(of: try hash.finish()) == name.hash
  }

  /// Returns nil if the archive ends before it.
  private func piece(_ range: Range<Int64>, of name: RemoteName) throws(StoreError) -> [UInt8]? {
    do {
      return try folder.get(.archive(name), range: range, limit: Int(Self.piece))
    } catch {
      guard error.kind == .outOfRange else { throw error }
      return nil
    }
  }
}
