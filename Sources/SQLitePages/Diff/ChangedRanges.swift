import Names

/// Finds the rowids at which two databases may differ, from the numbers of the pages that differ
/// between them.
///
/// A row is in a leaf of its table. A leaf that did not change, and is still in its table's tree,
/// holds the same rows. So a row can only differ in these cases:
///
/// - (a) Its leaf changed, on either side: then the row is between that leaf's first and last
///   rowid.
/// - (b) Its leaf is in one tree and not in the other: then some interior page above it that is in
///   both trees changed and lost or gained a child, and the row is between the keys around that
///   child.
/// - (c) An overflow page of its value changed: then that page must be found below a changed leaf,
///   or the search gives up (``Undecided/overflow``).
///
/// If any page remains unexplained, nothing is guessed: everything is compared. SQLite itself then
/// compares the ranges.
struct ChangedRanges {
  private let left: TreeSide
  private let right: TreeSide
  private let changed: [UInt32]
  private var ranges: [Identifier: [ClosedRange<Int64>]] = [:]
  /// A page of an index, or of a table without rowids, is among the changed pages.
  private(set) var touchesIndexes = false

  /// - Parameter changed: every page that may differ, and every page that only one of the databases
  ///   has.
  init(_ left: TreeSide, _ right: TreeSide, changed: [UInt32]) {
    self.left = left
    self.right = right
    self.changed = changed
  }

  /// - Throws: ``Undecided``, and errors of reading pages.
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

  /// The changed pages of tables, each with its table. Throws if any other page remains
  /// unexplained.
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

  /// - Parameter counterpart: the page of this number in the other tree, if it belongs to the same
  ///   table there.
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
  /// The ranges in which two databases may differ, by their changed pages; nil if the pages cannot
  /// decide it.
  ///
  /// - Parameters:
  ///   - changed: every page that may differ, and every page that only one of the databases has.
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

/// The root pages of the tables of a schema.
private struct TableRoots {
  struct Table: Hashable {
    var root: UInt32
    var isWithoutRowid: Bool
    /// A different definition gives the same bytes another meaning.
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

/// One of two databases whose changed pages are examined: finds their tables and the pages below
/// them.
final class TreeSide {
  /// A page of a table, with the bounds of all keys below it.
  struct Claim {
    var table: Identifier
    /// Exclusive; nil for no bound.
    var after: Int64?
    /// Inclusive; nil for no bound.
    var last: Int64?
  }

  let pages: any DatabasePages
  /// Root pages of tables that have rowids, SQLite's own among them.
  let roots: [Identifier: UInt32]
  let free: Set<UInt32>
  private let usable: Int
  private let isAutoVacuum: Bool
  private var known: [UInt32: BTreePage] = [:]
  private var lastTable: Identifier?

  /// If there are more free pages, they are not examined: reading their list would cost too much.
  private static let mostFreePages = 200_000
  /// In databases below this size no overflow page begins like a b-tree page: its first byte
  /// belongs to the next page's number.
  private static let mostPages: UInt32 = 1 << 25
  private static let deepest = 40

  /// - Throws: ``Undecided`` if pages of different kinds cannot be distinguished in this database.
  init(_ pages: any DatabasePages, roots: [Identifier: UInt32]) throws {
    guard pages.pageCount > 0, pages.pageCount < Self.mostPages else { throw Undecided.shape }
    let first = try pages.bytes(ofPage: 1)
    self.pages = pages
    self.roots = roots
    usable = pages.pageSize - Int(first[20])
    isAutoVacuum = (first.big32(52) ?? 0) != 0
    free = try Self.freePages(pages, first, usable)
  }

  /// The list of free pages (<https://www.sqlite.org/fileformat2.html#the_freelist>).
  private static func freePages(_ pages: any DatabasePages, _ first: [UInt8], _ usable: Int) throws -> Set<UInt32> {
    var free: Set<UInt32> = []
    var trunk = first.big32(32) ?? 0
    guard (first.big32(36) ?? 0) <= mostFreePages else { throw Undecided.shape }
    while trunk != 0 {
      guard trunk <= pages.pageCount, free.insert(trunk).inserted else { throw Undecided.damaged }
      let bytes = try pages.bytes(ofPage: trunk)
      let count = Int(bytes.big32(4) ?? 0)
      guard count <= usable / 4 - 2 else { throw Undecided.damaged }
      for index in 0..<count { free.insert(bytes.big32(8 + 4 * index) ?? 0) }
      trunk = bytes.big32(0) ?? 0
    }
    return free
  }

  /// Whether a page holds no part of a table or an index: it is free, SQLite's lock page, or maps
  /// pages to their parents.
  func isBookkeeping(_ page: UInt32) -> Bool {
    let lockPage = UInt32(0x4000_0000 / pages.pageSize) + 1
    if free.contains(page) || page == lockPage { return true }
    guard isAutoVacuum, page >= 2 else { return false }
    let stride = UInt32(usable / 5 + 1)
    let map = (page - 2) / stride * stride + 2
    return page == (map == lockPage ? map + 1 : map)
  }

  /// Returns nil if the page does not begin as a b-tree page: it is an overflow page.
  func treePage(_ number: UInt32) throws -> BTreePage? {
    if let page = known[number] { return page }
    guard number >= 1, number <= pages.pageCount else { throw Undecided.damaged }
    let page = BTreePage(try pages.bytes(ofPage: number), number: number, usable: usable)
    known[number] = page
    return page
  }

  func nextOverflow(of page: UInt32) throws -> UInt32 {
    guard page >= 1, page <= pages.pageCount else { throw Undecided.damaged }
    return try pages.bytes(ofPage: page).big32(0) ?? 0
  }

  /// The table to which a page belongs: the one whose tree leads to it.
  func claim(_ number: UInt32, _ page: BTreePage) throws -> Claim? {
    if let table = roots.first(where: { $0.value == number })?.key { return Claim(table: table) }
    guard let key = page.someKey() else { return nil }
    // Neighbours on the list of changed pages mostly belong to one table.
    if let lastTable, let claim = try descend(lastTable, to: number, key) { return claim }
    for table in roots.keys where table != lastTable {
      if let claim = try descend(table, to: number, key) {
        lastTable = table
        return claim
      }
    }
    return nil
  }

  private func descend(_ table: Identifier, to wanted: UInt32, _ key: Int64) throws -> Claim? {
    guard var number = roots[table] else { return nil }
    var claim = Claim(table: table)
    for _ in 0..<Self.deepest {
      if number == wanted { return claim }
      guard let page = try treePage(number) else { throw Undecided.damaged }
      guard page.kind == .interiorTable else { return nil }
      guard let children = page.children() else { throw Undecided.damaged }
      guard let index = children.firstIndex(where: { child in child.last.map { key <= $0 } ?? true }) else {
        return nil
      }
      if index > 0 { claim.after = children[index - 1].last }
      claim.last = children[index].last ?? claim.last
      number = children[index].page
    }
    throw Undecided.damaged
  }
}

/// The reason why changed pages do not show which rows may differ; everything is compared then.
enum Undecided: Error {
  /// The database is of a kind that this search does not support.
  case shape
  /// The pages are inconsistent.
  case damaged
  /// A changed page's owner could not be found without reading every row: the tail of a long value
  /// was changed in place.
  case overflow
}
