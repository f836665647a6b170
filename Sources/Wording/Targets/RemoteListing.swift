import BackupEngine
import BackupPolicy
import Names
import Replication

/// The backups in targets, as the names of their archives describe them.
package struct RemoteListing {
  private let address: String
  private let repositoryID: String
  private let backups: [RemoteBackup]
  private let hasKey: Bool
  /// Why the key does not prove the names; nil if it does, or without a key. Lower case, no full stop.
  package let doubt: String?
  private let warnings: [String]
  private let zone: ZoneRules

  /// - Parameters:
  ///   - address: of the targets, as it was given.
  ///   - backups: the newest first.
  ///   - hasKey: whether the reader has a key or a password.
  ///   - doubt: why the key does not prove the names; nil if it does, or without a key.
  ///   - warnings: lower case, no full stop.
  ///   - zone: in which times are shown.
  package init(
    address: String, repositoryID: String, backups: [RemoteBackup], hasKey: Bool, doubt: String?, warnings: [String],
    zone: ZoneRules
  ) {
    (self.address, self.repositoryID, self.backups) = (address, repositoryID, backups)
    (self.hasKey, self.doubt, self.warnings, self.zone) = (hasKey, doubt, warnings, zone)
  }

  /// - Parameter limit: shows only the newest; nil for all.
  package func lines(_ limit: Int?) -> [String] {
    let shown = backups.prefix(limit ?? backups.count)
    let rest = shown.count < backups.count ? " (the newest \(shown.count.grouped) shown)" : ""
    return ["Backups in \(address.printable): \(backups.count.grouped)\(rest)", "Repository \(repositoryID)"]
      + PointListing.notes(nil, zone) + (warnings + notes).map { "  ! \($0.printable)" } + [""] + shown.map(line)
  }

  private var notes: [String] {
    if let doubt { return [doubt] }
    return !hasKey && backups.contains(where: \.name.archive.encrypted)
      ? ["without a key, nothing proves these names"] : []
  }

  private func line(_ backup: RemoteBackup) -> String {
    let indent = backup.kind == .incremental ? "  " : ""
    let words = [zone.wallClock(backup.created), "\(ByteCount(backup.bytes))", backup.kind.rawValue] + marks(backup)
    return "\(indent)\(backup.id)  \(words.joined(separator: "  "))"
  }

  private func marks(_ backup: RemoteBackup) -> [String] {
    [
      backup.isSuperseded ? "! superseded" : nil, backup.isComplete ? nil : "✗ an archive that it needs is missing",
      backup.name.archive.encrypted ? nil : "! not encrypted",
    ].compactMap(\.self)
  }

  /// - Parameter limit: shows only the newest; nil for all.
  package func json(_ limit: Int?) -> JSONValue { .array(backups.prefix(limit ?? backups.count).map(json)) }

  private func json(_ backup: RemoteBackup) -> JSONValue {
    .object([
      "backup_id": .string(backup.id.text), "sequence": .integer(backup.sequence),
      "created_at": .string(backup.created.iso8601), "kind": .string(backup.kind.rawValue),
      "bytes": .integer(backup.bytes), "needs": .array(backup.needed.dropFirst().map { .string($0.text) }),
      "encrypted": .bool(backup.name.archive.encrypted), "superseded": .bool(backup.isSuperseded),
      "complete": .bool(backup.isComplete), "repository_id": .string(repositoryID),
    ])
  }
}
