import BackupEngine
import BackupPolicy

extension ChainWeight {
  /// Of the newest chain of the database's own history, told from the metadata alone; nil where there is none.
  ///
  /// - Parameter points: the newest first.
  init?(_ points: [StoredPoint]) {
    let own = points.map(\.metadata).filter { Trigger(rawValue: $0.backupType.rawValue) != nil }
    guard let newest = own.first else { return nil }
    let chain = newest.chainID ?? newest.id
    guard let full = own.first(where: { $0.id == chain && $0.kind == .full }) else { return nil }
    let links = own.filter { $0.chainID == chain && $0.kind == .incremental }
    self.init(
      full: chain, fullBytes: full.compressedSize, incrementals: links.count,
      incrementalBytes: links.reduce(0) { $0.addingClamped($1.compressedSize) })
  }
}
