import BackupEngine
import BackupPolicy
import Names
import Replication

/// The target that a fetched backup came from, and the amount that was fetched.
package struct RemoteOrigin {
  private let address: String
  private let sequence: Int64
  private let host: String?
  private let age: String
  private let figures: (objects: Int, bytes: Int64)
  private let zone: ZoneRules
  private let choice: RemoteChoice
  /// The path of the database that was backed up; nil if it is not known.
  private let database: String?
  /// Lower case, no full stop.
  private(set) var warnings: [String]

  /// - Parameters:
  ///   - address: of the target, as it was given.
  ///   - figures: the archives that the backup needs, and their size in bytes.
  ///   - warnings: of the reader. Lower case, no full stop.
  ///   - now: the age of the backup ends here.
  ///   - zone: in which times are shown.
  package init(
    _ choice: RemoteChoice, address: String, figures: (objects: Int, bytes: Int64), warnings: [String],
    at now: Timestamp, in zone: ZoneRules
  ) {
    (self.choice, self.address, self.figures, self.zone) = (choice, address, figures, zone)
    (sequence, host, database) = (choice.backup.sequence, choice.metadata?.host, choice.metadata?.databasePath)
    let distance = now.milliseconds - choice.backup.created.milliseconds
    age = "\(Words.distance(milliseconds: max(0, distance))) old"
    self.warnings = choice.warnings + warnings
  }

  /// `From s3://bucket/prefix: number 431 of 2026-11-28 14:02:58 by web-1, 3 h old; 12 archives of
  /// 131 MiB`
  var text: String {
    let by = host.map { " by \($0)" } ?? ""
    return
      "From \(address.printable): number \(sequence) of \(zone.wallClock(choice.backup.created))\(by), \(age); \(archives)"
  }

  /// `12 archives of 131 MiB`
  var archives: String {
    "\(figures.objects.grouped) archive\(figures.objects == 1 ? "" : "s") of \(ByteCount(figures.bytes))"
  }

  /// Adds a warning if the backup is of another database than the one that it would replace.
  ///
  /// - Parameters:
  ///   - path: of the database that it would replace, as it was given.
  ///   - resolved: the same path with symbolic links followed.
  package mutating func compare(withDatabase path: String, resolved: String) {
    guard let database, !database.isExactly(resolved) else { return }
    warnings.append("it is a backup of \(database)\(host.map { " on \($0)" } ?? ""), and not of \(path)")
  }

  var json: JSONValue {
    .object([
      "address": .string(address), "sequence": .integer(sequence), "objects": .integer(Int64(figures.objects)),
      "bytes": .integer(figures.bytes), "warnings": .array(warnings.map { .string($0) }),
    ])
  }
}
