/// Decides which archives of a chain are asked for before a put, so that archives that are gone are
/// noticed while the target is in use and not only at its next list.
///
/// An incremental is of no use without the archives that it builds on. Once a minute with uploads the
/// full of its chain, the backup before it and one other archive are asked for, in turns. In a folder
/// that costs nothing, so the first two are asked for before each put, and more of the others.
package struct ChainAudit: Hashable, Sendable {
  /// When the target was last listed or asked.
  private var last: Timestamp?
  /// The next of the others.
  private var next = 0

  /// Archives beside the full and the parent.
  private static let others = 1
  private static let othersOnDisk = 64

  package init() {}

  /// The target was listed.
  package mutating func recordList(at now: Timestamp) { last = now }

  /// - Parameters:
  ///   - put: the next one. A full needs nothing.
  ///   - archives: all that the target should have.
  ///   - isOnDisk: the target is a folder.
  /// - Returns: the archives to ask for.
  package mutating func archives(
    before put: ReplicationPut, among archives: some Sequence<RemoteName>, isOnDisk: Bool, now: Timestamp
  ) -> [RemoteName] {
    let isDue = WriterPolicy.mustLook(last: last, now: now)
    guard let parent = put.parent, isDue || isOnDisk else { return [] }
    let chain = archives.filter { $0.chain == put.chain }
    let needed = chain.filter { $0.parent == nil || $0.id == parent }
    guard isDue else { return needed }
    last = now
    let others = chain.filter { $0.parent != nil && $0.id != parent }.sorted()
    guard !others.isEmpty else { return needed }
    let count = min(others.count, isOnDisk ? Self.othersOnDisk : Self.others)
    let turn = (0..<count).map { others[(next + $0) % others.count] }
    next = (next + count) % others.count
    return needed + turn
  }
}
