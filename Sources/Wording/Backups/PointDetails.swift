import BackupEngine
import BackupPolicy

/// All facts about one backup, as `show` prints them.
package struct PointDetails {
  private let point: StoredPoint
  private let chain: PointChain?
  /// The holds on this backup, and the hold that it causes.
  private let holds: [AnomalyHold]
  private let zone: ZoneRules
  private var metadata: PointMetadata { point.metadata }

  /// - Parameters:
  ///   - chain: the archives that a restore would read; nil if a link is missing.
  ///   - holds: all current holds.
  ///   - zone: in which times are shown.
  package init(_ point: StoredPoint, chain: PointChain?, holds: [AnomalyHold] = [], zone: ZoneRules) {
    self.point = point
    self.chain = chain
    self.holds = holds.filter { $0.anomaly == point.id || $0.held.contains(point.id) }
    self.zone = zone
  }

  /// The ID, and below it all that is known.
  package var lines: [String] {
    var fields = FieldList()
    addContent(&fields)
    addProof(&fields)
    addOrigin(&fields)
    for problem in point.problems { fields.add("Problem", problem) }
    addReading(&fields)
    return ["\(point.id)"] + fields.lines(width: 16) + links
  }

  private func addReading(_ fields: inout FieldList) {
    guard let chain else { return fields.add("Restore reads", "nothing: it cannot be restored") }
    guard point.isIncremental else { return }
    fields.add(
      "Restore reads", "\(chain.links.count.grouped) archives, \(ByteCount(chain.archiveBytes)), the newest first")
  }

  /// A line for each archive that a restore reads, if there are several.
  private var links: [String] {
    guard let chain, point.isIncremental else { return [] }
    return chain.links.map { "      \($0.id)  \(PointLine($0, zone: zone).text)" }
  }

  /// The metadata; under `chain` the archives that a restore reads, null if one is missing; under
  /// `holds` the holds that concern the backup, if there are any.
  package var json: JSONValue {
    guard case .object(var keys) = point.json else { return point.json }
    keys["chain"] =
      chain.map { chain in
        .array(
          chain.links.map {
            .object([
              "backup_id": .string($0.id.text), "created_at": .string($0.metadata.created.iso8601),
              "kind": .string($0.metadata.kind.rawValue), "bytes": .integer($0.metadata.compressedSize),
              "pages_stored": .optional($0.metadata.pagesStored),
            ])
          })
      } ?? .null
    if !holds.isEmpty { keys["holds"] = .array(holds.map(\.json)) }
    return .object(keys)
  }

  private func addContent(_ fields: inout FieldList) {
    fields.add("File", metadata.filename)
    fields.add("Created", zone.stamp(metadata.created))
    fields.add("Type", "\(metadata.backupType), \(metadata.kind)")
    fields.add("Size", metadata.sizeInWords)
    fields.add("Pages", metadata.pageCount.map { "\($0.grouped) of \((metadata.pageSize ?? 0).grouped) bytes" })
    fields.add("Encryption", metadata.encrypted ? metadata.cipher?.rawValue ?? "unknown" : "none")
    fields.add("Compression", metadata.compressed ? "gzip" : "none")
    fields.add("Records", metadata.totalRecords?.grouped)
    fields.add("Tables", tables)
    fields.add("Schema version", metadata.schemaVersion)
    fields.add("Description", metadata.description)
    fields.add("Tags", metadata.tags.joined(separator: ", "))
  }

  private var tables: String? {
    metadata.tableCounts?.sorted { $0.key < $1.key }.map { "\($0) \($1?.grouped ?? "?")" }.joined(separator: ", ")
  }

  private func addProof(_ fields: inout FieldList) {
    fields.add("Status", metadata.statusInWords)
    fields.add("Verified", metadata.verificationDate.map(zone.stamp))
    fields.add("Proven", point.provenAt.map { "by the drill of \(zone.wallClock($0))" })
    for error in metadata.verificationErrors { fields.add("Failed", error) }
    for finding in metadata.findings { fields.add("Flaw", finding) }
    if metadata.isFlawed {
      fields.add(
        "Found by",
        "SQLite \(metadata.findingsSQLiteVersion ?? "of an unknown version")"
          + (metadata.findingsDate.map { " on \(zone.wallClock($0))" } ?? ""))
    }
    for anomaly in metadata.allAnomalies { fields.add("Anomaly", "it \(anomaly)") }
    fields.add("Accepted", metadata.acceptedAt.map(zone.stamp))
    for hold in holds { addHold(hold, &fields) }
    if metadata.pinned { fields.add("Pinned", "until holdfast unpin \(metadata.id)") }
    fields.add("Checksum", metadata.checksum.map { "sha256 \($0)" })
    fields.add("Digest", metadata.digest)
  }

  private func addHold(_ hold: AnomalyHold, _ fields: inout FieldList) {
    let until = "\(hold.until(zone)); holdfast accept \(hold.anomaly) ends that"
    if hold.anomaly == point.id {
      fields.add("Holds", "\(hold.held.count.grouped) older, \(until)")
    } else {
      fields.add("Held", "for \(hold.anomaly), which \(hold.reason), \(until)")
    }
  }

  private func addOrigin(_ fields: inout FieldList) {
    fields.add("Sequence", metadata.sequence?.grouped)
    fields.add("Chain", metadata.chainID.flatMap { $0 == metadata.id ? nil : $0.text })
    fields.add("Parent", metadata.parentID?.text)
    fields.add("Repository", metadata.repositoryID)
    fields.add("Database", metadata.databasePath)
    fields.add("Host", metadata.host)
    fields.add("Took", metadata.durationMS.map { "\($0.grouped) ms" })
    fields.add("Made by", metadata.holdfastVersion.map { "holdfast \($0)" })
  }
}

extension AnomalyHold {
  /// The end of the hold: `until 2026-12-22 14:03:00`.
  func until(_ zone: ZoneRules) -> String {
    ends.map { "until \(zone.wallClock($0))" } ?? "as long as its clock is in doubt"
  }
}
