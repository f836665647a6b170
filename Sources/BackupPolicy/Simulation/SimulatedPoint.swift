/// A point as retention and thinning see it, while a simulation runs.
package struct SimulatedPoint: Hashable, Sendable {
  package var retention: RetentionPoint
  package var thinning: ThinningPoint
  /// Why it stays, by the last decision.
  package var reasons: [String] = []

  package init(_ retention: RetentionPoint, _ thinning: ThinningPoint) {
    (self.retention, self.thinning) = (retention, thinning)
  }

  /// One that is yet to be made.
  ///
  /// - Parameters:
  ///   - number: its sequence, which makes its ID the only one.
  ///   - parent: nil for a full.
  ///   - bytes: of its archive.
  ///   - fullBytes: of a full's, from which the number of pages is guessed, as thinning asks for it.
  init(number: Int64, _ time: Timestamp, _ trigger: Trigger, parent: PointID?, bytes: Int64, fullBytes: Int64) {
    let id = PointID(at: time, number: Int(clamping: number))
    let kind = parent == nil ? "full" : "incremental"
    retention = RetentionPoint(
      id: id, sequence: number, created: time, type: trigger.rawValue, kind: kind, parent: parent,
      verified: trigger == .scheduled, bytes: bytes)
    thinning = ThinningPoint(
      id: id, created: time, type: trigger.rawValue, kind: kind, parent: parent, status: "completed", bytes: bytes,
      pagesStored: Self.pages(bytes), pageCount: Self.pages(fullBytes), pageSize: 4096)
    thinning.verified = retention.verified
  }

  private static func pages(_ bytes: Int64) -> UInt32 { UInt32(clamping: max(1, bytes / 4096)) }

  package var id: PointID { retention.id }
  package var bytes: Int64 { retention.bytes }

  /// Others were merged into it.
  mutating func takeOver(bytes: Int64, parent: PointID?) {
    (retention.bytes, retention.parent) = (bytes, parent)
    (thinning.bytes, thinning.parent, thinning.pagesStored) = (bytes, parent, Self.pages(bytes))
  }
}
