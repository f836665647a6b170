import BackupPolicy

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
