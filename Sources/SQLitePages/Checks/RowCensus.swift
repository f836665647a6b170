import Names
import Synchronization

/// Counts the rows of tables from pages that are read for another purpose, in any order, without
/// reading anything twice.
///
/// A row of an ordinary table is a cell of a leaf of its b-tree; a row of a `WITHOUT ROWID` table
/// is any cell of its b-tree. The pages of each table are known only at the end, from the children
/// of interior pages. Free and overflow pages may look like anything, but are never reached from a
/// root. Source: "Database File Format", section 1.6 (b-tree pages), on sqlite.org.
///
/// Memory: about 6 bytes a page.
package final class RowCensus: Sendable {
  private let pageCount: UInt32
  private let pageSize: Int
  private let state: Mutex<State>

  /// Larger databases are not counted, so that a backup's memory stays bounded.
  package static let maximumPages: UInt32 = 1 << 21

  private struct State {
    /// Rows on each page, indexed by its number; 0 on an interior page of an ordinary table.
    var cells: [UInt16]
    /// The range of each interior page's children in ``children``.
    var interiors: [UInt32: (start: Int, count: Int)] = [:]
    var children: [UInt32] = []
  }

  /// Returns nil if the database is too large or empty.
  package init?(pageSize: Int, pageCount: UInt32) {
    guard pageCount > 0, pageCount <= Self.maximumPages, pageSize >= 512 else { return nil }
    self.pageCount = pageCount
    self.pageSize = pageSize
    state = Mutex(State(cells: [UInt16](repeating: 0, count: Int(pageCount) + 1)))
  }

  /// Records pages that follow one another in memory. Callable from several threads.
  package func add(_ pages: UnsafeRawBufferPointer, first: UInt32) {
    state.withLock { state in
      for index in 0..<(pages.count / pageSize) where first + UInt32(index) <= pageCount {
        let page = UnsafeRawBufferPointer(rebasing: pages[(index * pageSize)..<((index + 1) * pageSize)])
        record(page, first + UInt32(index), &state)
      }
    }
  }

  private func record(_ page: UnsafeRawBufferPointer, _ number: UInt32, _ state: inout State) {
    // Page 1 begins with the database's header.
    let header = number == 1 ? 100 : 0
    let cells = Self.big16(page, header + 3)
    switch BTreePage.Kind(rawValue: page[header]) {
    case .leafTable, .leafIndex: state.cells[Int(number)] = cells
    case .interiorTable: recordChildren(page, number, header, cells, &state)
    case .interiorIndex:
      state.cells[Int(number)] = cells
      recordChildren(page, number, header, cells, &state)
    case nil: break
    }
  }

  private func recordChildren(
    _ page: UnsafeRawBufferPointer, _ number: UInt32, _ header: Int, _ cells: UInt16, _ state: inout State
  ) {
    // Every page is the child of at most one other. More children mean that this is not a database,
    // and must not fill the memory.
    guard state.children.count + Int(cells) < 2 * Int(pageCount) + 64 else { return }
    let start = state.children.count
    state.children.append(Self.big32(page, header + 8))
    for cell in 0..<Int(cells) {
      let pointer = header + 12 + 2 * cell
      guard pointer + 2 <= page.count else { break }
      let offset = Int(Self.big16(page, pointer))
      guard offset + 4 <= page.count else { continue }
      state.children.append(Self.big32(page, offset))
    }
    state.interiors[number] = (start, state.children.count - start)
  }

  /// Rows of each table, by the root pages in the schema. A table is left out if its b-tree is
  /// inconsistent.
  package func counts(_ roots: [Identifier: UInt32]) -> [Identifier: Int64] {
    state.withLock { state in
      var result: [Identifier: Int64] = [:]
      for (table, root) in roots { result[table] = count(root, &state) }
      return result
    }
  }

  private func count(_ root: UInt32, _ state: inout State) -> Int64? {
    var rows: Int64 = 0
    var visited: UInt32 = 0
    var pending = [root]
    while let page = pending.popLast() {
      visited += 1
      // More pages than the database has: a cycle, in a damaged database.
      guard page >= 1, page <= pageCount, pending.count + Int(visited) <= Int(pageCount) else { return nil }
      rows += Int64(state.cells[Int(page)])
      if let interior = state.interiors[page], interior.count <= Int(pageCount) {
        pending += state.children[interior.start..<(interior.start + interior.count)]
      }
    }
    return rows
  }

  private static func big16(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt16 {
    UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1])
  }

  private static func big32(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt32 {
    UInt32(big16(bytes, offset)) << 16 | UInt32(big16(bytes, offset + 2))
  }
}

extension DatabaseConnection {
  /// The root pages of ordinary tables, by name; ``RowCensus`` counts from them.
  package func tableRoots() throws(DatabaseError) -> [Identifier: UInt32] {
    let names = Set(try ordinaryTables())
    let roots = try read("SELECT name, rootpage FROM main.sqlite_schema WHERE type = 'table' AND rootpage > 0") { row in
      row.name(0).flatMap { name in row.integer(1).flatMap { UInt32(exactly: $0) }.map { (name, $0) } }
    }
    return Dictionary(roots.filter { names.contains($0.0) }, uniquingKeysWith: { first, _ in first })
  }
}
