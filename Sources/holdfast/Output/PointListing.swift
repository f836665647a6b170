import BackupEngine
import BackupPolicy
import Names

/// Backups as `list` and `create` show them.
struct PointListing {
  let points: [StoredPoint]
  /// The number of backups, including those that are not shown.
  let total: Int
  /// The newest backup that passed a drill.
  var proof: DrillFigures.Proof?
  /// The zone in which times are shown.
  let zone: ZoneRules

  /// `Available backups: N`, then the backups, numbered from 1.
  var lines: [String] {
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
  /// - Parameter chain: a description of the incrementals that need it.
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
  /// `524 KiB (16 MiB before compression)`; without the second figure if it is not compressed.
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

/// A backup in one line, after its ID.
struct PointLine {
  private let point: StoredPoint
  private let zone: ZoneRules
  private var metadata: PointMetadata { point.metadata }

  init(_ point: StoredPoint, zone: ZoneRules) {
    self.point = point
    self.zone = zone
  }

  /// `2026-11-22 14:02:58  12 KiB, 3 pages  ✓ verified  "before the sale"`
  var text: String {
    ([zone.wallClock(metadata.created), size, status] + words).joined(separator: "  ").printable
  }

  private var size: String {
    guard let pages = metadata.pagesStored else { return "\(ByteCount(metadata.compressedSize))" }
    return "\(ByteCount(metadata.compressedSize)), \(pages.grouped) page\(pages == 1 ? "" : "s")"
  }

  /// If the backup cannot be restored because of another one, names that one.
  private var status: String {
    guard let (link, reason) = point.brokenChain else { return metadata.statusInWords }
    return "✗ needs \(link): \(reason)"
  }

  private var words: [String] {
    [
      point.provenAt == nil ? "" : "✓ proven", metadata.pinned ? "pinned" : "",
      metadata.description.map { "\"\($0)\"" } ?? "",
      metadata.tags.joined(separator: ", "),
    ].filter { !$0.isEmpty }
  }
}

/// A full and the incrementals that lead back to it.
struct PointTree {
  let rootID: PointID
  /// Nil if it is missing, or not to be shown.
  var root: StoredPoint?
  /// The newest first.
  var incrementals: [StoredPoint] = []

  /// - Parameter points: the newest first; the trees are in the order of their newest points.
  static func trees(of points: [StoredPoint]) -> [PointTree] {
    let roots = roots(of: points)
    var trees: [PointTree] = []
    var places: [PointID: Int] = [:]
    for point in points {
      let rootID = roots[point.id] ?? point.id
      let place = places[rootID] ?? trees.count
      if place == trees.count {
        places[rootID] = place
        trees.append(PointTree(rootID: rootID))
      }
      if point.id == rootID { trees[place].root = point } else { trees[place].incrementals.append(point) }
    }
    return trees
  }

  /// The full of each point's chain; if a link is missing, the full that the point's own header
  /// names.
  private static func roots(of points: [StoredPoint]) -> [PointID: PointID] {
    var roots: [PointID: PointID] = [:]
    // Parents come before their children.
    for point in points.reversed() {
      let parent = point.isIncremental ? point.metadata.parentID : nil
      roots[point.id] = parent.map { roots[$0] ?? point.metadata.chainID ?? $0 } ?? point.id
    }
    return roots
  }

  /// The parent of a point, if it is neither the next older point nor, for the oldest one, the
  /// full.
  func branch(at index: Int) -> PointID? {
    let isOldest = index + 1 == incrementals.count
    // A point that is not shown may be its parent.
    guard root != nil || !isOldest else { return nil }
    let below = isOldest ? rootID : incrementals[index + 1].id
    guard let parent = incrementals[index].metadata.parentID, parent != below else { return nil }
    return parent
  }
}

/// `list --short`: a line of at most 80 columns for each backup, incrementals beside fulls.
struct ShortListing {
  let points: [StoredPoint]
  /// The number of backups, including those that are not shown.
  let total: Int
  let zone: ZoneRules

  var lines: [String] {
    let offset = zone.isUTC ? "UTC" : points.first.map { zone.offsetText(at: $0.metadata.created) } ?? ""
    let rest = points.count < total ? ["(the newest \(points.count.grouped) of \(total.grouped))"] : []
    return [Self.row("ID", "CREATED \(offset)", "KIND", "SIZE", "STATUS")] + points.map(row) + rest
  }

  private func row(_ point: StoredPoint) -> String {
    let metadata = point.metadata
    let kind =
      point.isIncremental ? "+" : metadata.backupType == .manual ? "full" : metadata.backupType.rawValue
    return Self.row(
      metadata.id.text, zone.wallClock(metadata.created), kind, "\(ByteCount(metadata.compressedSize))",
      status(point) + (metadata.pinned ? ", pinned" : ""))
  }

  private func status(_ point: StoredPoint) -> String {
    if point.brokenChain != nil { return "✗ needs another" }
    if point.metadata.isFlawed {
      return point.provenAt == nil ? point.metadata.statusInWords : "! flawed, proven"
    }
    if point.provenAt != nil { return "✓ proven" }
    return switch point.metadata.status {
    case .completed: "- stored"
    case .anomalous: "! anomalous"
    case .suspect: "! suspect"
    case .verified, .failed, .unauthenticated: point.metadata.statusInWords
    }
  }

  private static func row(_ id: String, _ time: String, _ kind: String, _ size: String, _ status: String) -> String {
    func padded(_ text: String, _ width: Int) -> String {
      text + String(repeating: " ", count: max(0, width - text.count))
    }
    let right = String(repeating: " ", count: max(0, 8 - size.count)) + size
    return "\(padded(id, 22)) \(padded(time, 19)) \(padded(kind, 9))\(right)  \(status)"
  }
}
