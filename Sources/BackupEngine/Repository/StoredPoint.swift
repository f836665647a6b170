import BackupPolicy

/// A point as it is found in a repository.
package struct StoredPoint: Sendable {
  package var name: ArchiveName
  /// The header's word where there is one, else the JSON's, else what the file itself tells.
  package var metadata: PointMetadata
  /// What is odd about it, in words: metadata that was re-derived, contradictions, a missing file.
  package var problems: [String] = []
  /// Its archive cannot be read now, or is not what its name says. Nothing is removed for that: it may be a disk that
  /// stumbles, a newer program's format, or a file that was renamed.
  package var isDamaged = false
  /// Metadata stands without its archive.
  package var archiveMissing = false
  /// Metadata is there and cannot be read, for want of permission or because of the disk: a verdict may be in it. So the
  /// metadata is not written, and no incremental is built on the point.
  package var hasUnreadableMetadata = false
  /// The metadata was made anew and should be stored.
  package var needsRewrite = false
  /// When it passed a drill; nil where it did not, and where nobody asked.
  package var provenAt: Timestamp?

  /// The link of its chain that is at fault, where it cannot be restored for that.
  var brokenLink: BrokenLink?
  /// The same for people: that link's ID and what is wrong with it.
  package var brokenChain: (link: PointID, reason: String)? { brokenLink.map { ($0.id, $0.reason) } }

  /// How many of the problems are its own; the rest is told by its broken chain.
  var ownProblemCount: Int?
  /// What is odd about it apart from its chain.
  package var ownProblems: [String] { Array(problems.prefix(ownProblemCount ?? problems.count)) }

  package var id: PointID { metadata.id }

  mutating func damage(_ problem: String) {
    problems.append(problem)
    isDamaged = true
    metadata.status = .failed
  }

  /// Its metadata; where anything is odd about it, under `problems` what; and where it passed a drill, `proven_at`.
  package var json: JSONValue {
    guard !problems.isEmpty || provenAt != nil, case .object(var keys) = metadata.json else { return metadata.json }
    if !problems.isEmpty { keys["problems"] = .array(problems.map { .string($0) }) }
    if let provenAt { keys["proven_at"] = .string(provenAt.iso8601) }
    return .object(keys)
  }

  /// False for a plain or CBC point in a sealed repository that this host does not know.
  package var isAuthenticated: Bool { metadata.status != .unauthenticated }
}
