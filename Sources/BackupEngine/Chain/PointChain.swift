import BackupPolicy

/// A backup and all backups that it needs, according to names, metadata and clear headers: the
/// newest first, a full last.
package struct PointChain: Sendable {
  package let links: [StoredPoint]

  /// The text for people.
  package var words: String {
    links.count == 1 ? "a full" : "\(full.id) and \(links.count - 1) incremental\(links.count == 2 ? "" : "s")"
  }

  package var point: StoredPoint { links[0] }
  package var full: StoredPoint { links[links.count - 1] }
  /// Bytes of all archives.
  package var archiveBytes: Int64 { links.reduce(0) { $0.addingClamped($1.metadata.compressedSize) } }

  /// Identifies the chain, to detect later whether it changed. For a chain with incrementals it is
  /// the content: compaction may divide it into other archives at any time.
  package var fingerprint: String? {
    guard links.count > 1 else { return point.metadata.checksum }
    if let digest = point.metadata.digest { return "\(point.id) \(digest)" }
    return links.map { "\($0.id) \($0.metadata.checksum ?? "-") \($0.metadata.compressedSize)" }.joined(separator: "\n")
  }
}

/// The reason why the backups behind a link cannot be restored.
struct BrokenLink: Error, Hashable {
  /// The missing or damaged link.
  var id: PointID
  /// Lower case, no full stop.
  var reason: String

  /// - Parameter point: the backup that needs it.
  func error(for point: PointID) -> HoldfastError {
    HoldfastError(
      .verificationFailed, "\(id), which \(point) depends on, is not usable: \(reason)",
      hint: "use an older backup, or one of another chain; holdfast list shows the usable ones", cause: self)
  }
}

extension HoldfastError {
  /// The error of a command that needs the archive of a backup of which only the metadata exists.
  static func archiveMissing(_ id: PointID) -> HoldfastError {
    HoldfastError(.pointNotFound, "the archive of \(id) is missing", hint: "holdfast list shows the existing backups")
  }

  /// The link of a chain that caused the failure.
  var brokenLink: BrokenLink? {
    var next = cause
    while let error = next as? HoldfastError { next = error.cause }
    return next as? BrokenLink
  }
}

/// Follows backups to their parents.
enum ChainWalk {
  /// - Parameter point: returns a backup by its ID; nil if there is none.
  /// - Throws: ``BrokenLink`` if a link is missing or damaged, or cannot belong to this chain.
  static func chain(of start: StoredPoint, _ point: (PointID) throws -> StoredPoint?) throws -> PointChain {
    var links = [start]
    while let child = links.last, child.isIncremental {
      links.append(try parent(of: child, child.metadata.parentID.flatMap { try point($0) }))
    }
    return PointChain(links: links)
  }

  /// Returns the parent if it is a valid one.
  ///
  /// The sequence must fall from link to link, so no chain is a cycle.
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
  /// Returns a backup with all backups that it needs.
  ///
  /// - Throws: `verificationFailed` with the ``BrokenLink`` as its cause, if a link is missing or
  ///   damaged.
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
  /// Marks the backups whose chains are broken. The problem of each names the broken link and the
  /// newest whole backup.
  ///
  /// - Parameter self: every backup of a repository, the oldest first.
  mutating func markBrokenChains() {
    let positions = Dictionary(indices.map { (self[$0].id, $0) }, uniquingKeysWith: { first, _ in first })
    var broken: [Int] = []
    // Parents come before their children, so a break is passed on from link to link.
    for index in indices where self[index].isIncremental && !self[index].isDamaged && !self[index].archiveMissing {
      let parent = self[index].metadata.parentID.flatMap { positions[$0] }.map { self[$0] }
      do {
        _ = try ChainWalk.parent(of: self[index], parent)
      } catch {
        // A parent without authentication is the broken link itself, whatever the state of its own
        // parents.
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
  /// Returns the backups that need this one, directly or through others, the oldest first.
  ///
  /// - Parameter self: every backup of a repository, the oldest first.
  func descendants(of id: PointID) -> [StoredPoint] {
    var family: Set<PointID> = [id]
    // A child is younger than its parent. If its sequence contradicts that, it cannot be restored
    // anyway.
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

/// The archives of a chain, opened under the repository's shared lock: later removals and
/// replacements do not change them. The last reference closes them.
final class OpenChain {
  let chain: PointChain
  let files: [OpenFile]
  let operations: any FileOperations

  /// - Parameters:
  ///   - isLocked: whether the caller has a lock of the repository already.
  ///   - progress: ends the wait for the lock if it is stopped.
  /// - Throws: the error of opening one of them; `busy` and `interrupted`.
  init(
    _ chain: PointChain, in repository: Repository, isLocked: Bool = false, progress: Progress = Progress()
  ) throws {
    // A long chain has more archives than a process may have open by default.
    if chain.links.count > 128 { OpenFileLimit.raise(to: chain.links.count + 512) }
    self.chain = chain
    operations = repository.files
    files =
      try isLocked
      ? Self.open(chain, repository) : repository.shared(progress: progress) { try Self.open(chain, repository) }
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
  /// Reads a backup. If that fails and the repository's folder or the backup's archive has changed
  /// in between, reads it once more.
  ///
  /// The archives of a chain are looked up before they are opened. In between, compaction may have
  /// merged some of them.
  ///
  /// - Parameters:
  ///   - isGood: false for a result that such a change may have caused.
  ///   - body: gets the known backup; the second time, the backup as it is then.
  func reading<Result>(
    _ point: StoredPoint, isGood: (Result) -> Bool = { _ in true }, _ body: (StoredPoint) throws -> Result
  ) throws -> Result {
    let before = point.isIncremental ? try files.status(folder) : nil
    func fresh() throws -> StoredPoint? {
      guard point.isIncremental, let now = try stored(point.id), now.metadata.sequence == point.metadata.sequence,
        try files.status(folder) != before || now.metadata.checksum != point.metadata.checksum
      else { return nil }
      return now
    }
    do {
      let result = try body(point)
      guard !isGood(result), let fresh = try fresh() else { return result }
      return try body(fresh)
    } catch {
      guard (error as? HoldfastError)?.code != .interrupted else { throw error }
      return try reportingRemoval(of: [point]) {
        guard let fresh = try? fresh() else { throw error }
        return try body(fresh)
      }
    }
  }

  /// Runs `body`. If it fails because another process removed one of the backups, says so.
  func reportingRemoval<Result>(of points: [StoredPoint], _ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch {
      let isInterrupted = (error as? HoldfastError)?.code == .interrupted
      guard !isInterrupted, let gone = points.first(where: isRemoved) else { throw error }
      throw HoldfastError.removed(gone.id, cause: error)
    }
  }

  /// Whether a backup that was there when it was looked up is gone now. Unknown counts as no.
  private func isRemoved(_ point: StoredPoint) -> Bool {
    guard !point.archiveMissing, let index = try? index() else { return false }
    guard index.names[point.id] != nil else { return true }
    guard let now = try? index.point(point.id) else { return false }
    return now.metadata.sequence != point.metadata.sequence
  }
}

extension HoldfastError {
  /// The error of a command whose backup disappears while it is read.
  static func removed(_ id: PointID, cause: (any Error)? = nil) -> HoldfastError {
    HoldfastError(
      .pointNotFound, "\(id) was removed by another process", hint: "holdfast list shows the existing backups",
      cause: cause)
  }
}
