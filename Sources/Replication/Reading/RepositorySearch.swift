import BackupEngine
import BackupPolicy

/// Finds the repository in the targets that a command reads.
struct RepositorySearch {
  let reader: RemoteReader

  /// More repositories than anyone has under one address.
  private static let most = 20
  /// Of one repository. The newest backups may be damaged, and anyone can write names.
  private static let mostBackups = 64

  private enum Standing {
    /// The key proves a backup of it.
    case opens
    /// The key proves none of the backups that were examined.
    case closed
    /// It has no whole backup, or damaged ones: the key may open it.
    case unknown
  }

  private struct Found {
    let repository: RemoteRepository
    /// The newest one that the key proves, or else the newest whole one.
    var newest: RemoteBackup?
    /// Of that backup; nil if the key does not prove it.
    var metadata: PointMetadata?
    var standing = Standing.unknown
  }

  /// - Returns: also a note for a person, if other repositories were passed over.
  /// - Throws: `refused` if more than one may be meant.
  func choose() throws -> (RemoteRepository, note: String?) {
    let listed = Set(
      try reader.sources.ask { source throws(HoldfastError) in try source.repositories() }.flatMap(\.answer))
    var ids = listed.sorted()
    if let wanted = reader.options.repository { ids = ids.filter { $0.hasPrefix(wanted) } }
    guard let first = ids.first else { throw missing(listed.count) }
    guard ids.count > 1 else { return (repository(first), nil) }
    let found = try ids.prefix(Self.most).map { try examine(repository($0)) }
    let possible = found.filter { $0.standing != .closed }
    guard ids.count == found.count, possible.count == 1, possible[0].standing == .opens else {
      throw several(possible.isEmpty ? found : possible, of: ids)
    }
    let others = ids.count - 1
    return (
      possible[0].repository,
      "\(others) other repositor\(others == 1 ? "y does" : "ies do") not open with this key and \(others == 1 ? "is" : "are") left out"
    )
  }

  private func repository(_ id: String) -> RemoteRepository {
    RemoteRepository(id, in: reader.sources, reader: reader.options.records?(id))
  }

  private func examine(_ repository: RemoteRepository) throws -> Found {
    var found = Found(repository: repository)
    var examined: Set<PointID> = []
    var isDamaged = false
    while examined.count < Self.mostBackups,
      let backup = try repository.newest(of: \.candidates, { !examined.contains($0.id) })
    {
      examined.insert(backup.id)
      found.newest = found.newest ?? backup
      guard !reader.credentials.isEmpty || !backup.name.archive.encrypted else { continue }
      switch try reader.verdict(backup, in: repository, headOnly: true) {
      case .usable(let metadata):
        (found.newest, found.metadata, found.standing) = (backup, metadata, .opens)
        return found
      case .damaged: isDamaged = true
      case .unproved: break
      }
    }
    found.standing = examined.isEmpty || isDamaged ? .unknown : .closed
    return found
  }

  private func missing(_ count: Int) -> HoldfastError {
    let address = reader.sources.address
    guard let wanted = reader.options.repository, count > 0 else {
      return HoldfastError(
        .pointNotFound, "there is no repository in \(address)",
        hint: "check the prefix in the address: below it, a repository is a folder of 32 hexadecimal digits")
    }
    return HoldfastError(
      .pointNotFound, "there is no repository \(wanted.shortened) in \(address)",
      hint: "leave --repository out to see the \(count == 1 ? "one" : "\(count)") there")
  }

  /// - Parameter ids: of all repositories; the first of them were examined.
  private func several(_ found: [Found], of ids: [String]) -> HoldfastError {
    var lines = found.map(Self.line)
    let unread = ids.dropFirst(Self.most)
    lines += unread.prefix(Self.most).map { "\($0) (not examined)" }
    if unread.count > Self.most { lines.append("\(unread.count - Self.most) more") }
    let closed = min(ids.count, Self.most) - found.count
    if closed > 0 { lines.append("\(closed) that \(closed == 1 ? "does" : "do") not open with this key") }
    let example = (found.first?.repository.id ?? ids.first).map { String($0.prefix(8)) }
    return HoldfastError(
      .refused, "\(reader.sources.address) holds \(ids.count) repositories: \(lines.joined(separator: ", "))",
      hint: "choose one of them: --repository \(example ?? "ID")")
  }

  /// `0123… (newest backup_… by web-1 of /srv/shop.db)`
  private static func line(_ found: Found) -> String {
    let isDamaged = found.standing == .unknown && found.newest != nil
    let facts: [String?] = [
      found.newest.map { "newest \($0.id)" } ?? "without a whole backup", isDamaged ? "and damaged backups" : nil,
      found.metadata?.host.map { "by \($0)" }, found.metadata?.databasePath.map { "of \($0)" },
    ]
    return "\(found.repository.id) (\(facts.compactMap(\.self).joined(separator: " ")))"
  }
}
