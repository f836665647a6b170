import BackupEngine
import BackupPolicy
import Names
import Replication

/// The steps that bring a target up to date, with reasons, sizes and the price of their requests.
package struct ReplicationReport {
  private let target: Target
  private let plan: ReplicationPlan
  private let zone: ZoneRules
  /// The requests of the steps; of a plan, without the list of the target.
  private let requests: RequestCount
  /// Nil for a plan.
  private var outcome: ReplicationOutcome?

  /// - Parameter zone: in which times are shown.
  package init(_ target: Target, executed outcome: ReplicationOutcome, zone: ZoneRules) {
    (self.target, plan, self.zone) = (target, outcome.plan, zone)
    (requests, self.outcome) = (outcome.requests, outcome)
  }

  /// - Parameter zone: in which times are shown.
  package init(_ target: Target, planned plan: ReplicationPlan, zone: ZoneRules) {
    (self.target, self.plan, self.zone) = (target, plan, zone)
    let isRead = target.settings.access != .writeOnly
    requests = RequestCount(plan, mustLook: isRead) + RequestCount(gets: Int64(plan.unread.count))
  }

  private var removals: [(name: RemoteName, reason: String)] {
    plan.steps.compactMap { if case .remove(let name, let reason) = $0 { (name, reason) } else { nil } }
  }

  /// Whether nothing is to be done now.
  private var isComplete: Bool { plan.puts.isEmpty && plan.removals.isEmpty && pauses.isEmpty }

  // MARK: For people

  /// Of a plan each step; of a run one line, and the exceptions.
  package var lines: [String] {
    if let outcome { return [result(outcome)] + pauses + exceptions }
    let work = isComplete ? ["  Nothing to do: it has every backup that it should have"] : steps + pauses
    return ["\(target.name)  \(target.address)".printable] + work + exceptions + (requests.total == 0 ? [] : [total])
  }

  /// `s3: 2 backups uploaded, 12 MiB; 3 uploads, 1 read: $0.0001 on S3`
  private func result(_ outcome: ReplicationOutcome) -> String {
    let count = outcome.put.count
    var words = count == 0 ? "nothing to upload" : "\(count.grouped) backup\(count == 1 ? "" : "s") uploaded"
    if outcome.sentBytes > 0 { words += ", \(ByteCount(outcome.sentBytes))" }
    if !outcome.removed.isEmpty { words += ", \(outcome.removed.count.grouped) removed" }
    let price = target.url.prices.map { ": \($0.words($0.requests(requests)))" } ?? ""
    return "\(target.name): \(words); \(requests.words)\(price)".printable
  }

  private var steps: [String] {
    let puts = plan.puts.map { "    \($0.point)  \(Self.content($0)): \($0.reason)".printable }
    let removed = removals.map { "    \($0.name.id)  \(ByteCount($0.name.bytes)): \($0.reason)".printable }
    return (puts.isEmpty ? [] : ["  Would upload: \(puts.count.grouped)"] + puts)
      + (removed.isEmpty ? [] : ["  Would remove: \(removed.count.grouped)"] + removed)
  }

  /// `full, 12 MiB`, `changes since backup_…, at most 6 KiB of 3 backups`
  private static func content(_ put: ReplicationPut) -> String {
    let size = ByteCount(put.bytes)
    let start = put.parent.map { "changes since \($0)" } ?? "full"
    // A backup whose pages are merged into the archive is one of them itself.
    return put.merged.isEmpty ? "\(start), \(size)" : "\(start), at most \(size) of \(put.merged.count.grouped) backups"
  }

  private var pauses: [String] {
    plan.steps.compactMap { step in
      switch step {
      case .wait(let until, let reason): "  Waits until \(zone.stamp(until)): \(reason)".printable
      case .stop(let reason): "  ! Nothing is written: \(reason)".printable
      case .put, .remove: nil
      }
    }
  }

  private var exceptions: [String] {
    var lines = plan.skipped.map { "  Not sent: \($0.id): \($0.reasons.joined(separator: "; "))" }
    if !plan.damaged.isEmpty {
      lines.append("  ! Damaged there: \(plan.damaged.map(\.id.text).joined(separator: ", "))")
    }
    if !plan.lost.isEmpty {
      lines.append("  ! Cannot be restored from there: \(plan.lost.map(\.text).joined(separator: ", "))")
    }
    if !plan.superseded.isEmpty {
      lines.append("  Does not count, because another machine wrote later: \(Self.counted(plan.superseded.count))")
    }
    if let refused = plan.refused { lines.append("  The rules remove nothing: \(refused)") }
    return lines.map(\.printable)
  }

  private static func counted(_ count: Int) -> String { "\(count.grouped) archive\(count == 1 ? "" : "s")" }

  private var bytes: Int64 { plan.puts.reduce(0) { $0.addingClamped($1.bytes) } }

  private var total: String {
    let price = target.url.prices.map { ", \($0.words($0.requests(requests)))" } ?? ""
    let size = bytes > 0 ? ", at most \(ByteCount(bytes))" : ""
    return "  In all: \(requests.words)\(size)\(price)"
  }

  // MARK: For scripts

  package var json: JSONValue {
    var keys: JSONObject = [
      "name": .string(target.name), "url": .string(target.address), "executed": .bool(outcome != nil),
      "steps": .array(plan.steps.map(Self.json)), "owed": .array(plan.owed.map { .string($0.text) }),
      "skipped": .array(plan.skipped.map(Self.json)), "lost": .array(plan.lost.map { .string($0.text) }),
      "refused": .optional(plan.refused), "requests": requests.json,
      "bytes": .integer(outcome?.sentBytes ?? bytes),
    ]
    keys["uploaded"] = Self.json(outcome?.put ?? [])
    keys["removed"] = Self.json(outcome?.removed ?? [])
    keys["damaged"] = Self.json(plan.damaged)
    keys["superseded"] = Self.json(plan.superseded)
    keys["cost"] = target.url.prices.map { $0.json(requests, bytes: 0) } ?? .null
    return .object(keys)
  }

  private static func json(_ names: [RemoteName]) -> JSONValue { .array(names.map { .string($0.text) }) }

  private static func json(_ skipped: RetentionVerdict) -> JSONValue {
    .object(["backup_id": .string(skipped.id.text), "reasons": .array(skipped.reasons.map { .string($0) })])
  }

  private static func json(_ step: ReplicationStep) -> JSONValue {
    switch step {
    case .put(let put):
      .object([
        "step": .string("put"), "backup_id": .string(put.point.text), "parent_id": .optional(put.parent?.text),
        "merged": .array(put.merged.map { .string($0.text) }), "bytes": .integer(put.bytes),
        "newest": .bool(put.isNewest), "reason": .string(put.reason),
      ])
    case .remove(let name, let reason):
      .object([
        "step": .string("remove"), "backup_id": .string(name.id.text), "archive": .string(name.text),
        "bytes": .integer(name.bytes), "reason": .string(reason),
      ])
    case .wait(let until, let reason):
      .object(["step": .string("wait"), "until": .string(until.iso8601), "reason": .string(reason)])
    case .stop(let reason): .object(["step": .string("stop"), "reason": .string(reason)])
    }
  }
}
