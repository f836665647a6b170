import BackupEngine
import BackupPolicy

/// Points as `list` and `create` show them.
struct PointListing {
  let points: [StoredPoint]
  /// How many there are with those that are not shown.
  let total: Int
  /// The newest point that passed a drill.
  var proof: DrillFigures.Proof?
  /// The clocks that times are shown by.
  let zone: ZoneRules

  /// `Available backups: N`, then the points, numbered from 1.
  var lines: [String] {
    let rest = points.count < total ? " (the newest \(points.count.grouped) shown)" : ""
    return ["Available backups: \(total.grouped)\(rest)"] + Self.notes(proof, zone)
      + points.enumerated().flatMap {
        ["", "[\($0 + 1)] \($1.id)"]
          + Self.fields($1.metadata, problems: $1.problems, provenAt: $1.provenAt, zone: zone)
      }
  }

  /// What leads a listing where there is a proven point.
  static func notes(_ proof: DrillFigures.Proof?, _ zone: ZoneRules) -> [String] {
    // Whoever compares an ID with a time needs to know it.
    (zone.isUTC ? [] : ["Times are those of \(zone.name), IDs are in UTC"]) + proofLine(proof, zone)
  }

  private static func proofLine(_ proof: DrillFigures.Proof?, _ zone: ZoneRules) -> [String] {
    proof.map { ["Newest proven: \($0.id), drilled \(zone.wallClock($0.proved))"] } ?? []
  }

  /// The lines below a point's ID.
  ///
  /// - Parameter chain: what builds on it, in words.
  static func fields(
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

extension PointMetadata {
  /// `524 KiB (16 MiB before compression)`; without the second figure where nothing was compressed.
  var sizeInWords: String {
    let stored = "\(ByteCount(compressedSize))"
    guard compressed, let originalSize else { return stored }
    return "\(stored) (\(ByteCount(originalSize)) before compression)"
  }

  var statusInWords: String {
    guard isFlawed else { return plainStatus }
    return status == .verified || status == .completed
      ? "! flawed" + (verified ? ", verified" : "") : "\(plainStatus), flawed"
  }

  private var plainStatus: String {
    switch status {
    case .verified: "✓ verified"
    case .completed: "- not verified yet"
    case .failed: "✗ failed"
    case .anomalous: "! anomalous" + (verified ? ", verified" : "")
    case .suspect: "! suspect" + (verified ? ", verified" : "")
    case .unauthenticated: "! unauthenticated"
    }
  }
}
