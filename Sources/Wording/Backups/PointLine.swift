import BackupEngine
import BackupPolicy
import Names

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
