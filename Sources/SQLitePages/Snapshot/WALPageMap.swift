/// Which frame of the WAL holds the newest committed version of a page.
///
/// A sorted sparse array, so that its memory follows the WAL's length and not the database's. It is sorted when somebody first
/// asks for a range: many snapshots only look where the database stands.
struct WALPageMap {
  /// Page numbers of frames 1…, in frame order; emptied once sorted.
  private var unsorted: [UInt32]
  private let pageCount: UInt32
  /// `page << 32 | frame`, ascending, one entry a page.
  private var entries: [UInt64] = []

  /// - Parameters:
  ///   - pages: page numbers of frames 1…, in frame order.
  ///   - pageCount: entries past it belong to a state with more pages and are left out.
  init(pages: [UInt32], pageCount: UInt32) {
    unsorted = pages
    self.pageCount = pageCount
  }

  static let empty = WALPageMap(pages: [], pageCount: 0)

  /// The newest frame of one page, by a look at all of them; nil where the database file holds it. Only before ``frames(first:count:)``.
  func newestFrame(of page: UInt32) -> UInt32? {
    precondition(entries.isEmpty)
    return unsorted.lastIndex(of: page).map { UInt32($0 + 1) }
  }

  /// The pages of a range that the WAL holds, ascending, with their frames.
  mutating func frames(first: UInt32, count: Int) -> some Collection<(page: UInt32, frame: UInt32)> {
    if !unsorted.isEmpty { sort() }
    let start = lowerBound(UInt64(first) << 32)
    let end = lowerBound((UInt64(first) + UInt64(count)) << 32)
    return entries[start..<end].lazy.map { (UInt32($0 >> 32), UInt32(truncatingIfNeeded: $0)) }
  }

  private mutating func sort() {
    var all: [UInt64] = []
    all.reserveCapacity(unsorted.count)
    for (index, page) in unsorted.enumerated() where page >= 1 && page <= pageCount {
      all.append(UInt64(page) << 32 | UInt64(index + 1))
    }
    all.sort()
    // Of the frames of one page the last one counts; it stands last.
    var kept = 0
    for index in all.indices where index + 1 == all.count || all[index] >> 32 != all[index + 1] >> 32 {
      all[kept] = all[index]
      kept += 1
    }
    all.removeLast(all.count - kept)
    (entries, unsorted) = (all, [])
  }

  private func lowerBound(_ key: UInt64) -> Int {
    var low = 0
    var high = entries.count
    while low < high {
      let middle = (low + high) / 2
      if entries[middle] < key { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
