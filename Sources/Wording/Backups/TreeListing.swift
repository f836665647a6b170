import BackupEngine
import BackupPolicy
import Names

/// Backups as `list` shows them: each full with its incrementals below it.
package struct TreeListing {
  private let points: [StoredPoint]
  private let limit: Int
  private let folds: Bool
  private let proof: DrillFigures.Proof?
  private let zone: ZoneRules
  private let commands: CommandSpelling

  /// - Parameters:
  ///   - points: all backups, the newest first.
  ///   - limit: the number of the newest backups to show.
  ///   - folds: whether long runs of incrementals are shortened in the middle.
  ///   - proof: the newest backup that passed a drill; nil without one.
  ///   - zone: in which times are shown.
  ///   - commands: of the advice for damaged backups.
  package init(
    points: [StoredPoint], limit: Int, folds: Bool, proof: DrillFigures.Proof?, zone: ZoneRules,
    commands: CommandSpelling
  ) {
    (self.points, self.limit, self.folds) = (points, limit, folds)
    (self.proof, self.zone, self.commands) = (proof, zone, commands)
  }

  private var isCut: Bool { limit < points.count }

  /// `Available backups: N`, then the fulls, numbered from 1, each with its incrementals.
  package var lines: [String] {
    let rest = isCut ? " (the newest \(limit.grouped) shown)" : ""
    let all = PointTree.trees(of: points)
    let sizes = Dictionary(uniqueKeysWithValues: all.map { ($0.rootID, $0.incrementals.count) })
    let shown = isCut ? PointTree.trees(of: Array(points.prefix(limit))) : all
    let gone = Set(all.filter { $0.root == nil }.map(\.rootID))
    return ["Available backups: \(points.count.grouped)\(rest)"] + PointListing.notes(proof, zone)
      + shown.enumerated().flatMap { number, tree in
        ["", "[\(number + 1)] \(heading(tree, gone))"] + fields(tree)
          + branches(tree, hidden: (sizes[tree.rootID] ?? 0) - tree.incrementals.count)
      } + broken
  }

  private func heading(_ tree: PointTree, _ gone: Set<PointID>) -> String {
    guard tree.root == nil else { return tree.rootID.text }
    return gone.contains(tree.rootID)
      ? "\(tree.rootID) (the full, which is missing)"
      : "\(tree.rootID) (the full, not among the newest \(limit.grouped))"
  }

  private func fields(_ tree: PointTree) -> [String] {
    guard let root = tree.root else { return [] }
    let bytes = tree.incrementals.reduce(Int64(0)) { $0 + $1.metadata.compressedSize }
    let count = tree.incrementals.count
    return PointListing.fields(
      root.metadata, problems: root.problems, provenAt: root.provenAt,
      chain: count == 0 ? nil : "\(count.grouped) incremental\(count == 1 ? "" : "s"), \(ByteCount(bytes))", zone: zone)
  }

  /// - Parameter hidden: the number of older backups beyond the limit.
  private func branches(_ tree: PointTree, hidden: Int) -> [String] {
    var rows = FoldedRuns(tree.incrementals, folds: folds).rows.map { row -> (lines: [String], isPoint: Bool) in
      switch row {
      case .point(let index): return self.row(tree, index)
      case .folded(let points): return (["⋮  \(fold(points))"], isPoint: false)
      }
    }
    if hidden > 0 { rows.append((["\(hidden.grouped) older not shown"], isPoint: true)) }
    return rows.enumerated().flatMap { index, row in
      let isLast = index == rows.count - 1
      return row.lines.enumerated().map { line, text in
        let mark = line > 0 ? (isLast ? "     " : "│    ") : !row.isPoint ? "" : isLast ? "└─ " : "├─ "
        return "    \(mark)\(text)"
      }
    }
  }

  private func row(_ tree: PointTree, _ index: Int) -> (lines: [String], isPoint: Bool) {
    let point = tree.incrementals[index]
    let branch = tree.branch(at: index).map { "  (on \($0))" } ?? ""
    let problems = point.ownProblems.map { "Problem  \($0.printable)" }
    return (["\(point.id)  \(PointLine(point, zone: zone).text)\(branch)"] + problems, true)
  }

  private func fold(_ points: ArraySlice<StoredPoint>) -> String {
    guard let newest = points.first?.metadata.created, let oldest = points.last?.metadata.created else { return "" }
    let broken = points.first?.brokenChain.map { " that need \($0.link)" } ?? ""
    return
      "\(points.count.grouped) more\(broken), \(zone.wallClock(oldest)) to \(zone.wallClock(newest)); --flat shows each"
  }

  private var broken: [String] {
    let lost = points.count { $0.brokenChain != nil }
    guard lost > 0 else { return [] }
    let what = lost == 1 ? "1 backup cannot" : "\(lost.grouped) backups cannot"
    return ["", "✗ \(what) be restored: a link of the chain is missing or damaged"]
      + WholePoint.lines(points.reversed().newestWhole()?.id, commands)
  }
}
