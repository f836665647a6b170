import BackupPolicy

/// A point and all that it needs, as far as names, metadata and clear headers tell: the newest first, a full last.
package struct PointChain: Sendable {
  package let links: [StoredPoint]

  /// As people read it.
  package var words: String {
    links.count == 1 ? "a full" : "\(full.id) and \(links.count - 1) incremental\(links.count == 2 ? "" : "s")"
  }

  package var point: StoredPoint { links[0] }
  package var full: StoredPoint { links[links.count - 1] }
  /// Bytes of all archives.
  package var archiveBytes: Int64 { links.reduce(0) { $0.addingClamped($1.metadata.compressedSize) } }

  /// What this is, to tell whether it still is the same. Of a chain it is the content: compaction may cut it into other
  /// archives at any time.
  package var fingerprint: String? {
    guard links.count > 1 else { return point.metadata.checksum }
    if let digest = point.metadata.digest { return "\(point.id) \(digest)" }
    return links.map { "\($0.id) \($0.metadata.checksum ?? "-") \($0.metadata.compressedSize)" }.joined(separator: "\n")
  }
}

/// Why the points behind a link cannot be restored.
struct BrokenLink: Error, Hashable {
  /// The link that is at fault.
  var id: PointID
  /// Lower case, no full stop.
  var reason: String

  /// - Parameter point: the point that needs it.
  func error(for point: PointID) -> HoldfastError {
    HoldfastError(
      .verificationFailed, "\(id), which \(point) depends on, is not usable: \(reason)",
      hint: "use an older backup, or one of another chain; holdfast list shows the usable ones", cause: self)
  }
}

extension HoldfastError {
  /// The link of a chain that the failure is about.
  var brokenLink: BrokenLink? {
    var next = cause
    while let error = next as? HoldfastError { next = error.cause }
    return next as? BrokenLink
  }
}

/// Follows points to their parents.
enum ChainWalk {
  /// - Parameter point: a point by its ID; nil where there is none.
  /// - Throws: ``BrokenLink`` where a link is missing, damaged, or cannot be this chain's.
  static func chain(of start: StoredPoint, _ point: (PointID) throws -> StoredPoint?) throws -> PointChain {
    var links = [start]
    while let child = links.last, child.isIncremental {
      links.append(try parent(of: child, child.metadata.parentID.flatMap { try point($0) }))
    }
    return PointChain(links: links)
  }

  /// The parent, where it is one.
  ///
  /// The sequence falls from link to link, so that no chain runs in a circle.
  static func parent(of child: StoredPoint, _ parent: StoredPoint?) throws(BrokenLink) -> StoredPoint {
    guard let id = child.metadata.parentID else {
      throw BrokenLink(id: child.id, reason: "its parent is not known")
    }
    guard let parent, !parent.archiveMissing else { throw BrokenLink(id: id, reason: "it is missing") }
    if let reason = objection(to: parent, of: child) { throw BrokenLink(id: id, reason: reason) }
    return parent
  }

  private static func objection(to parent: StoredPoint, of child: StoredPoint) -> String? {
    let (mother, own) = (parent.metadata, child.metadata)
    if !parent.isAuthenticated && child.isAuthenticated {
      return parent.problems.first.map { "it is not authenticated: \($0)" } ?? "it is not authenticated"
    }
    if parent.isDamaged || mother.status == .failed {
      return (parent.problems + mother.verificationErrors).first.map { "it is damaged: \($0)" } ?? "it is damaged"
    }
    if parent.name.content == .raw { return "it is a raw copy of damaged files" }
    if mother.repositoryID != own.repositoryID { return "it belongs to another repository" }
    if mother.cipher != own.cipher { return "it is not protected in the same way" }
    guard let before = mother.sequence, let after = own.sequence, before < after else { return "it is not older" }
    return nil
  }
}

extension StoredPoint {
  package var isIncremental: Bool { name.content == .pages }
}

extension Repository {
  /// A point with all that it needs.
  ///
  /// - Throws: `verificationFailed` with the ``BrokenLink`` as its cause, where a link is missing or damaged.
  package func chain(of point: StoredPoint) throws -> PointChain {
    guard point.isIncremental else { return PointChain(links: [point]) }
    let index = try index()
    do {
      return try ChainWalk.chain(of: point) { try index.point($0) }
    } catch let broken as BrokenLink {
      throw broken.error(for: point.id)
    }
  }
}

extension [StoredPoint] {
  /// Marks the points whose chains are broken: each names the link that is at fault and the newest point that is whole.
  ///
  /// - Parameter self: every point of a repository, the oldest first.
  mutating func settleChains() {
    let positions = Dictionary(indices.map { (self[$0].id, $0) }, uniquingKeysWith: { first, _ in first })
    var broken: [Int] = []
    // Parents come before their children, so a break is handed down from link to link.
    for index in indices where self[index].isIncremental && !self[index].isDamaged && !self[index].archiveMissing {
      let parent = self[index].metadata.parentID.flatMap { positions[$0] }.map { self[$0] }
      do {
        _ = try ChainWalk.parent(of: self[index], parent)
      } catch {
        // What is not authenticated is at fault itself, whatever became of its own parents.
        let origin = parent.flatMap { $0.isAuthenticated ? $0.brokenLink : nil }
        let link = origin ?? error
        self[index].breakChain(link)
        self[index].unreadable = positions[link.id].flatMap { self[$0].unreadable }
        broken.append(index)
      }
    }
    guard !broken.isEmpty, let whole = newestWhole() else { return }
    for index in broken { self[index].problems.append("the newest usable backup is \(whole.id)") }
  }
}

extension [StoredPoint] {
  /// The points that need this one, directly or through others, the oldest first.
  ///
  /// - Parameter self: every point of a repository, the oldest first.
  func descendants(of id: PointID) -> [StoredPoint] {
    var family: Set<PointID> = [id]
    // A child is younger than its parent; one that claims otherwise cannot be restored anyway.
    return filter { point in
      guard point.isIncremental, let parent = point.metadata.parentID, family.contains(parent) else { return false }
      return family.insert(point.id).inserted
    }
  }
}

extension StoredPoint {
  mutating func breakChain(_ link: BrokenLink) {
    let status = metadata.status
    ownProblemCount = problems.count
    damage("\(link.id), which it depends on, is not usable: \(link.reason)")
    if status == .unauthenticated { metadata.status = status }
    brokenLink = link
  }
}

/// The archives of a chain, opened under the repository's shared lock: whatever is removed or replaced from then on, this is
/// what was there. Closes them with its last reference.
final class OpenChain {
  let chain: PointChain
  let files: [OpenFile]
  let operations: any FileOperations

  /// - Parameter isLocked: whether the caller holds the exclusive lock already.
  /// - Throws: what opening one of them throws.
  init(_ chain: PointChain, in repository: Repository, isLocked: Bool = false) throws {
    // A long chain has more archives than a process may have open by default.
    if chain.links.count > 128 { OpenFileLimit.raise(to: chain.links.count + 512) }
    self.chain = chain
    operations = repository.files
    files = try isLocked ? Self.open(chain, repository) : repository.shared { try Self.open(chain, repository) }
  }

  private static func open(_ chain: PointChain, _ repository: Repository) throws -> [OpenFile] {
    var files: [OpenFile] = []
    do {
      for link in chain.links {
        files.append(try repository.files.open(repository.path(link.name.text), .readNoFollow))
      }
    } catch {
      for file in files { repository.files.close(file) }
      throw error
    }
    return files
  }

  deinit { for file in files { operations.close(file) } }
}

extension Repository {
  /// Reads a point, and once more where that failed and the repository's folder, or the point's archive, is another one by then.
  ///
  /// Which archives a chain has is looked up before they are opened; in between compaction may have merged some of them.
  ///
  /// - Parameters:
  ///   - isGood: false for a result that may be owed to that.
  ///   - body: gets the point as it is known; the second time as it is then.
  func reading<Result>(
    _ point: StoredPoint, isGood: (Result) -> Bool = { _ in true }, _ body: (StoredPoint) throws -> Result
  ) throws -> Result {
    guard point.isIncremental else { return try body(point) }
    let before = try files.status(folder)
    func fresh() throws -> StoredPoint? {
      guard let now = try stored(point.id), now.metadata.sequence == point.metadata.sequence,
        try files.status(folder) != before || now.metadata.checksum != point.metadata.checksum
      else { return nil }
      return now
    }
    do {
      let result = try body(point)
      guard !isGood(result), let fresh = try fresh() else { return result }
      return try body(fresh)
    } catch {
      guard (error as? HoldfastError)?.code != .interrupted, let fresh = try? fresh() else { throw error }
      return try body(fresh)
    }
  }
}
