import BackupEngine
import BackupPolicy

/// Backups as `list --flat` and `create` show them.
package struct PointListing {
  private let points: [StoredPoint]
  private let total: Int
  private let proof: DrillFigures.Proof?
  private let zone: ZoneRules

  /// - Parameters:
  ///   - points: the backups to show, the newest first.
  ///   - total: the number of backups, including those that are not shown.
  ///   - proof: the newest backup that passed a drill; nil without one.
  ///   - zone: in which times are shown.
  package init(points: [StoredPoint], total: Int, proof: DrillFigures.Proof?, zone: ZoneRules) {
    (self.points, self.total, self.proof, self.zone) = (points, total, proof, zone)
  }

  /// `Available backups: N`, then the backups, numbered from 1.
  package var lines: [String] {
    let rest = points.count < total ? " (the newest \(points.count.grouped) shown)" : ""
    return ["Available backups: \(total.grouped)\(rest)"] + Self.notes(proof, zone)
      + points.enumerated().flatMap {
        ["", "[\($0 + 1)] \($1.id)"]
          + Self.fields($1.metadata, problems: $1.problems, provenAt: $1.provenAt, zone: zone)
      }
  }

  /// The first lines of a listing: the zone, and the newest proven backup if there is one.
  static func notes(_ proof: DrillFigures.Proof?, _ zone: ZoneRules) -> [String] {
    // An ID and a time can be compared only if the zones of both are known.
    (zone.isUTC ? [] : ["Times are in \(zone.name), IDs are in UTC"]) + proofLine(proof, zone)
  }

  private static func proofLine(_ proof: DrillFigures.Proof?, _ zone: ZoneRules) -> [String] {
    proof.map { ["Newest proven: \($0.id), drilled \(zone.wallClock($0.proved))"] } ?? []
  }

  /// The lines below a backup's ID.
  ///
  /// - Parameters:
  ///   - problems: the reasons why it cannot be restored.
  ///   - provenAt: when it last passed a drill; nil if it never did.
  ///   - chain: a description of the incrementals that need it; nil without any.
  ///   - zone: in which times are shown.
  package static func fields(
    _ metadata: PointMetadata, problems: [String] = [], provenAt: Timestamp? = nil, chain: String? = nil,
    zone: ZoneRules
  ) -> [String] {
    var fields = FieldList()
    fields.add("File", metadata.filename)
    fields.add("Created", zone.stamp(metadata.created))
    fields.add("Size", metadata.sizeInWords)
    fields.add("Records", metadata.totalRecords?.grouped)
    fields.add("Status", metadata.statusInWords)
    fields.add("Proven", provenAt.map { "by the drill of \(zone.wallClock($0))" })
    if metadata.pinned { fields.add("Pinned", "until holdfast unpin \(metadata.id)") }
    for anomaly in metadata.openAnomalies { fields.add("Anomaly", "it \(anomaly)") }
    for finding in metadata.findings { fields.add("Flaw", finding) }
    fields.add("Description", metadata.description)
    fields.add("Tags", metadata.tags.joined(separator: ", "))
    fields.add("Chain", chain)
    for problem in problems { fields.add("Problem", problem) }
    return fields.lines()
  }
}
