import BackupEngine
import BackupPolicy

/// `list --short`: a line of at most 80 columns for each backup, incrementals beside fulls.
package struct ShortListing {
  private let points: [StoredPoint]
  private let total: Int
  private let zone: ZoneRules

  /// - Parameters:
  ///   - points: the backups to show, the newest first.
  ///   - total: the number of backups, including those that are not shown.
  ///   - zone: in which times are shown.
  package init(points: [StoredPoint], total: Int, zone: ZoneRules) {
    (self.points, self.total, self.zone) = (points, total, zone)
  }

  /// The names of the columns, then the backups.
  package var lines: [String] {
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
