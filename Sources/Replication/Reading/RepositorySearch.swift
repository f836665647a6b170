import BackupEngine
import BackupPolicy

/// Finds the repository in the targets that a command reads.
struct RepositorySearch {
  let reader: RemoteReader

  /// More repositories than anyone has under one address.
  private static let most = 20

  private struct Found {
    let repository: RemoteRepository
    let newest: RemoteBackup?
    /// Nil if the key does not prove the newest backup.
    var metadata: PointMetadata?
    var opens = false
  }

  /// - Returns: also a note for a person, if other repositories were passed over.
  func choose() throws -> (RemoteRepository, note: String?) {
    let listed = Set(
      try reader.sources.ask { source throws(HoldfastError) in try source.repositories() }.flatMap(\.answer))
    var ids = listed.sorted()
    if let wanted = reader.options.repository { ids = ids.filter { $0.hasPrefix(wanted) } }
    guard let first = ids.first else { throw missing(listed.count) }
    guard ids.count > 1 else { return (repository(first), nil) }
    let found = try ids.prefix(Self.most).map { try examine(repository($0)) }
    let usable = found.filter(\.opens)
    guard usable.count == 1 else { throw several(usable.isEmpty ? found : usable) }
    let others = ids.count - 1
    return (
      usable[0].repository,
      "\(others) other repositor\(others == 1 ? "y does" : "ies do") not open with this key and \(others == 1 ? "is" : "are") left out"
    )
  }

  private func repository(_ id: String) -> RemoteRepository {
    RemoteRepository(id, in: reader.sources, reader: reader.options.records?(id))
  }

  private func examine(_ repository: RemoteRepository) throws -> Found {
    guard let newest = try repository.newest(of: \.candidates, { _ in true }) else {
      return Found(repository: repository, newest: nil)
    }
    var found = Found(repository: repository, newest: newest)
    guard !reader.credentials.isEmpty || !newest.name.archive.encrypted else { return found }
    if case .usable(let metadata) = try reader.verdict(newest, in: repository, headOnly: true) {
      (found.metadata, found.opens) = (metadata, true)
    }
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

  private func several(_ found: [Found]) -> HoldfastError {
    let lines = found.map { found in
      let facts = [
        found.newest.map { "newest \($0.id)" } ?? "without a whole backup", found.metadata?.host.map { "by \($0)" },
        found.metadata?.databasePath.map { "of \($0)" },
      ].compactMap(\.self)
      return "\(found.repository.id) (\(facts.joined(separator: " ")))"
    }
    return HoldfastError(
      .refused, "\(reader.sources.address) holds \(found.count) repositories: \(lines.joined(separator: ", "))",
      hint: "choose one of them: --repository \(found.first.map { String($0.repository.id.prefix(8)) } ?? "ID")")
  }
}
