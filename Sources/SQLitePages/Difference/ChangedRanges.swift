import Names

/// Finds at which rowids two databases may differ, from the numbers of the pages that differ between them.
///
/// A row lies in a leaf of its table, and a leaf that did not change, and still hangs in its table's tree, holds the same rows. So
/// a row can only differ where (a) its leaf changed, on either side: then it lies between that leaf's first and last rowid; or
/// (b) its leaf hangs in one tree and not in the other: then some interior page above it, which is in both trees, changed and
/// lost or won a child, and the row lies between the keys around that child; or (c) an overflow page of its value changed: then
/// that page must be found below a changed leaf, or nothing is said (``Undecided/overflow``). Whatever remains unexplained
/// is no reason to guess: everything is compared. The ranges are then compared by SQLite itself.
struct ChangedRanges {
  private let left: TreeSide
  private let right: TreeSide
  private let changed: [UInt32]
  private var ranges: [Identifier: [ClosedRange<Int64>]] = [:]
  /// A page of an index, or of a table without rowids, is among the changed.
  private(set) var touchesIndexes = false

  /// - Parameter changed: every page that may differ, and every page that only one of them has.
  init(_ left: TreeSide, _ right: TreeSide, changed: [UInt32]) {
    self.left = left
    self.right = right
    self.changed = changed
  }

  /// - Throws: ``Undecided``, and what reading pages throws.
  mutating func find() throws -> [Identifier: [ClosedRange<Int64>]] {
    let (before, after) = (try claims(left), try claims(right))
    for (side, own, other, others) in [(left, before, right, after), (right, after, left, before)] {
      for (number, claim) in own {
        guard let page = try side.treePage(number) else { throw Undecided.damaged }
        try add(page, claim, counterpart: others[number]?.table == claim.table ? other.treePage(number) : nil)
      }
    }
    return ranges.mapValues { Self.merged($0) }
  }

  /// The changed pages of tables, each with its table; all others are explained, or this throws.
  private mutating func claims(_ side: TreeSide) throws -> [UInt32: TreeSide.Claim] {
    var claims: [UInt32: TreeSide.Claim] = [:]
    var trees: [BTreePage] = []
    var overflows: Set<UInt32> = []
    for number in changed where number <= side.pages.pageCount && !side.isBookkeeping(number) {
      guard let page = try side.treePage(number) else {
        overflows.insert(number)
        continue
      }
      trees.append(page)
      switch page.kind {
      case .interiorIndex, .leafIndex: touchesIndexes = true
      case .interiorTable, .leafTable:
        guard let claim = try side.claim(number, page) else { throw Undecided.damaged }
        claims[number] = claim
      }
    }
    try explain(&overflows, below: trees, side)
    return claims
  }

  private func explain(_ overflows: inout Set<UInt32>, below trees: [BTreePage], _ side: TreeSide) throws {
    for page in trees {
      if overflows.isEmpty { return }
      guard let firsts = page.overflows() else { throw Undecided.damaged }
      for first in firsts {
        var (next, steps) = (first, 0)
        while next != 0 {
          overflows.remove(next)
          next = try side.nextOverflow(of: next)
          steps += 1
          guard steps <= Int(side.pages.pageCount) else { throw Undecided.damaged }
          if overflows.isEmpty { return }
        }
      }
    }
    guard overflows.isEmpty else { throw Undecided.overflow }
  }

  /// - Parameter counterpart: the page of this number in the other tree, where it belongs to the same table there.
  private mutating func add(_ page: BTreePage, _ claim: TreeSide.Claim, counterpart: BTreePage?) throws {
    guard page.kind == .interiorTable else {
      if page.isEmpty { return }
      guard let rowids = page.rowids() else { throw Undecided.damaged }
      ranges[claim.table, default: []].append(rowids)
      return
    }
    guard let children = page.children() else { throw Undecided.damaged }
    let kept = Set(counterpart?.children()?.map(\.page) ?? [])
    var after = claim.after
    for child in children {
      let last = child.last ?? claim.last
      if !kept.contains(child.page) {
        let (low, high) = (after.map { $0 == .max ? .max : $0 + 1 } ?? .min, last ?? .max)
        guard low <= high else { throw Undecided.damaged }
        ranges[claim.table, default: []].append(low...high)
      }
      after = last
    }
  }

  private static func merged(_ ranges: [ClosedRange<Int64>]) -> [ClosedRange<Int64>] {
    var result: [ClosedRange<Int64>] = []
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = result.last, last.upperBound == .max || range.lowerBound <= last.upperBound + 1 {
        result[result.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
      } else {
        result.append(range)
      }
    }
    return result
  }
}

extension RangesByTable {
  /// Where two databases may differ, by their changed pages; nil where the pages do not tell.
  ///
  /// - Parameters:
  ///   - changed: every page that may differ, and every page that only one of them has.
  ///   - before: connections over the same pages.
  package static func find(
    _ before: (DatabaseConnection, any DatabasePages), _ after: (DatabaseConnection, any DatabasePages),
    changed: [UInt32]
  ) throws -> RangesByTable? {
    let (old, new) = (try TableRoots(before.0), try TableRoots(after.0))
    do {
      var search = ChangedRanges(
        try TreeSide(before.1, roots: old.rowidRoots), try TreeSide(after.1, roots: new.rowidRoots), changed: changed)
      let ranges = try search.find()
      var unknown: Set<Identifier> = []
      for (name, table) in new.tables {
        let moved = old.tables[name] != table
        if moved || table.isWithoutRowid && search.touchesIndexes { unknown.insert(name) }
      }
      return RangesByTable(known: ranges, unknown: unknown)
    } catch is Undecided {
      return nil
    }
  }
}

/// Where the tables of a schema begin.
private struct TableRoots {
  struct Table: Hashable {
    var root: UInt32
    var isWithoutRowid: Bool
    /// Another definition reads the same bytes in another way.
    var sql: SQLText
  }

  var tables: [Identifier: Table] = [:]
  /// Of every table with rowids, the schema itself included.
  var rowidRoots: [Identifier: UInt32] = ["sqlite_schema": 1]

  init(_ connection: DatabaseConnection) throws {
    let rows = try connection.read(
      """
      SELECT s.name, s.rootpage, coalesce(l.wr, 0), coalesce(s.sql, '') FROM main.sqlite_schema AS s
      LEFT JOIN pragma_table_list AS l ON l.name = s.name AND l.schema = 'main' WHERE s.type = 'table' AND s.rootpage > 0
      """
    ) { row -> (Identifier, Table)? in
      guard let name = row.name(0), let root = row.integer(1).flatMap({ UInt32(exactly: $0) }),
        let withoutRowid = row.integer(2), let sql = row.sql(3)
      else { return nil }
      return (name, Table(root: root, isWithoutRowid: withoutRowid != 0, sql: sql))
    }
    for (name, table) in rows {
      tables[name] = table
      if !table.isWithoutRowid { rowidRoots[name] = table.root }
    }
  }
}
