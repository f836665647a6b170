import BackupEngine
import BackupPolicy
import Names

/// The expected content of a repository over the coming days.
package struct SimulationReport {
  private let simulation: RepositorySimulation
  private let zone: ZoneRules

  /// - Parameter zone: in which times are shown.
  package init(simulation: RepositorySimulation, zone: ZoneRules) {
    (self.simulation, self.zone) = (simulation, zone)
  }

  /// More rows would not be readable.
  private static let rows = 15

  /// - Parameter verbose: also lists each full at the end of the simulation.
  package func lines(verbose: Bool) -> [String] {
    let table = ["If the database changes as before:"] + simulation.assumptions.map { "  - \($0)" } + [""] + table
    return verbose ? table + ["", "The backups at the end, the newest first:"] + points : table
  }

  private var table: [String] {
    let days = simulation.days
    let step = max(1, (days.count + Self.rows - 1) / Self.rows)
    let chosen = days.indices.filter { $0 % step == 0 || $0 == days.count - 1 }
    return [Self.row("date", "fulls", "incrementals", "size")]
      + chosen.map {
        Self.row(
          date(days[$0].time), days[$0].fulls.grouped, days[$0].incrementals.grouped, "\(ByteCount(days[$0].bytes))")
      }
  }

  private static func row(_ date: String, _ cells: String...) -> String {
    let widths = [8, 14, 12]
    let columns = zip(cells, widths).map { String(repeating: " ", count: max(1, $1 - $0.count)) + $0 }
    return "  " + date + String(repeating: " ", count: max(0, 10 - date.count)) + columns.joined()
  }

  private func date(_ time: Timestamp) -> String { String(zone.wallClock(time).prefix(10)) }

  /// A line for each full and its incrementals.
  private var points: [String] {
    var lines: [String] = []
    var links: [SimulatedPoint] = []
    for point in simulation.points.reversed() {
      guard point.point.kind == .full else {
        links.append(point)
        continue
      }
      if !links.isEmpty {
        let bytes = links.reduce(Int64(0)) { $0.addingClamped($1.bytes) }
        lines.append("    \(links.count.grouped) incremental\(links.count == 1 ? "" : "s"), \(ByteCount(bytes))")
      }
      links = []
      let reasons = point.reasons.isEmpty ? "" : "  \(point.reasons.joined(separator: "; ").printable)"
      lines.append(
        "  \(zone.wallClock(point.point.created))  \(point.point.type.rawValue.printable)  \(ByteCount(point.bytes))\(reasons)"
      )
    }
    return lines
  }

  /// Every day, and every backup at the end.
  package var json: JSONValue {
    .object([
      "assumptions": .array(simulation.assumptions.map { .string($0) }),
      "days": .array(
        simulation.days.map {
          .object([
            "at": .string($0.time.iso8601), "fulls": .integer(Int64($0.fulls)),
            "incrementals": .integer(Int64($0.incrementals)), "bytes": .integer($0.bytes),
          ])
        }),
      "points": .array(
        simulation.points.map { point in
          .object([
            "created_at": .string(point.point.created.iso8601), "backup_type": .string(point.point.type.rawValue),
            "kind": .string(point.point.kind.rawValue), "bytes": .integer(point.bytes),
            "reasons": .array(point.reasons.map { .string($0) }),
          ])
        }),
    ])
  }
}
