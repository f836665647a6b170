import Names

/// One of two databases whose changed pages are looked at: whose they are, and what hangs below them.
final class TreeSide {
  /// A page of a table: between which keys everything below it lies.
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

  /// More free pages than this are not looked at: reading their list would be work for itself.
  private static let mostFreePages = 200_000
  /// Below this no overflow page begins like a page of a b-tree: its first byte belongs to the next page's number.
  private static let mostPages: UInt32 = 1 << 25
  private static let deepest = 40

  /// - Throws: ``Undecided`` where the database is of a kind that cannot be told apart by its pages.
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

  /// Whether a page holds nothing of a table or an index: it is free, SQLite's lock page, or maps pages to their parents.
  func isBookkeeping(_ page: UInt32) -> Bool {
    let lockPage = UInt32(0x4000_0000 / pages.pageSize) + 1
    if free.contains(page) || page == lockPage { return true }
    guard isAutoVacuum, page >= 2 else { return false }
    let stride = UInt32(usable / 5 + 1)
    let map = (page - 2) / stride * stride + 2
    return page == (map == lockPage ? map + 1 : map)
  }

  /// Nil for what begins otherwise: an overflow page.
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

  /// Which table a page belongs to: the one whose tree leads to it.
  func claim(_ number: UInt32, _ page: BTreePage) throws -> Claim? {
    if let table = roots.first(where: { $0.value == number })?.key { return Claim(table: table) }
    guard let key = page.someKey() else { return nil }
    // Neighbours on the list of changed pages are mostly of one table.
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

/// Why changed pages do not tell which rows may differ; everything is compared then.
enum Undecided: Error {
  /// Of a kind that this does not read.
  case shape
  /// What was read does not hold together.
  case damaged
  /// A changed page's owner could not be found without looking at every row: the tail of a long value was changed in place.
  case overflow
}
