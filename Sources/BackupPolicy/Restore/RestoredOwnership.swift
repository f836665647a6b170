/// What decides whom a restored file belongs to.
package struct FileOwnershipFacts: Hashable, Sendable {
  /// The database's when it was backed up; nil if the backup does not tell.
  package var recorded: FileAttributes?
  /// The backup is authenticated, and so is what it says of owners and permissions.
  package var isAuthentic: Bool
  /// The backup was made on this machine, where the same number is the same user.
  package var isFromHere: Bool
  /// Of the file that is replaced; nil if there is no file.
  package var existing: FileAttributes?
  package var folder: FileAttributes
  package var process: ProcessFacts

  package init(
    recorded: FileAttributes? = nil, isAuthentic: Bool = true, isFromHere: Bool = true,
    existing: FileAttributes? = nil, folder: FileAttributes, process: ProcessFacts
  ) {
    self.recorded = recorded
    self.isAuthentic = isAuthentic
    self.isFromHere = isFromHere
    self.existing = existing
    self.folder = folder
    self.process = process
  }
}

/// Whom a restored file is going to belong to, and who may use it.
///
/// A file in the place of another one, or of a lost database, gets what that had, as far as this process may give it. A new file
/// gets no more than the database had, nor more than the umask leaves. No file gets a permission to execute.
package struct RestoredOwnership: Hashable {
  package var attributes: FileAttributes
  /// Lower case, no full stop.
  package var warnings: [String] = []

  /// - Throws: if the application could not write any more what takes its file's place.
  init(_ install: Install, _ path: String, _ facts: FileOwnershipFacts) throws(RestoreRefusal) {
    switch (install, facts.existing) {
    case (.newFile, _): self.init(newFile: facts)
    case (_, let existing?): try self.init(replacing: existing, path, facts)
    case (_, nil): self.init(lost: path, facts)
    }
  }

  private static let usable: UInt32 = 0o666

  /// What a file that this process makes there belongs to: root's files belong to the folder's owner.
  private static func made(_ facts: FileOwnershipFacts, _ permissions: UInt32) -> FileAttributes {
    let owner = facts.process.isRoot ? facts.folder.owner : facts.process.user
    return FileAttributes(permissions: permissions & usable, owner: owner, group: group(facts))
  }

  private static func group(_ facts: FileOwnershipFacts) -> UInt32 {
    let handsOn = facts.folder.permissions & 0o2000 != 0
    return facts.process.isRoot || handsOn ? facts.folder.group : facts.process.group
  }

  package init(newFile facts: FileOwnershipFacts) {
    let most = Self.usable & ~facts.process.mask
    attributes = Self.made(facts, facts.recorded.map { $0.permissions & most } ?? most)
  }

  private init(replacing existing: FileAttributes, _ path: String, _ facts: FileOwnershipFacts) throws(RestoreRefusal) {
    attributes = Self.given(existing, facts)
    let isOurs = attributes.owner == existing.owner
    guard !isOurs || attributes.group != existing.group else { return }
    let sharesGroup = attributes.group == existing.group && existing.permissions & 0o060 == 0o060
    guard isOurs || sharesGroup else {
      throw RestoreRefusal(
        .refused,
        "\(path) belongs to user \(existing.owner), and a file that user \(facts.process.user) puts in its place cannot: "
          + "its application could not write it any more",
        hint: "run the same command as user \(existing.owner) or as root, or restore to another file with --to PATH")
    }
    warnings = [
      "\(path) belongs to \(existing.ownerInWords) and will belong to \(attributes.ownerInWords)"
        + (isOurs ? ": its group loses its rights" : "; its group can write it as before")
    ]
  }

  private init(lost path: String, _ facts: FileOwnershipFacts) {
    let most = Self.usable & ~facts.process.mask
    guard let recorded = facts.recorded else {
      attributes = Self.made(facts, most)
      return
    }
    // What anybody could have written into a metadata file gives nobody more than a new file does.
    guard facts.isAuthentic else {
      attributes = Self.made(facts, recorded.permissions & most)
      return
    }
    // On another machine the number may be somebody else's.
    guard facts.isFromHere || recorded.owner == facts.folder.owner else {
      attributes = Self.made(facts, recorded.permissions)
      warn(path, recorded)
      return
    }
    attributes = Self.given(recorded, facts)
    warn(path, recorded)
  }

  private mutating func warn(_ path: String, _ recorded: FileAttributes) {
    guard attributes.owner != recorded.owner || attributes.group != recorded.group else { return }
    warnings.append(
      "the database belonged to \(recorded.ownerInWords), and \(path) will belong to \(attributes.ownerInWords): "
        + "make sure that its application can write it")
  }

  /// As many of the wanted attributes as this process may give to a file of its own.
  private static func given(_ wanted: FileAttributes, _ facts: FileOwnershipFacts) -> FileAttributes {
    let process = facts.process
    var attributes = wanted
    attributes.permissions &= usable
    guard !process.isRoot else { return attributes }
    attributes.owner = process.user
    guard !process.groups.contains(wanted.group) else { return attributes }
    attributes.group = group(facts)
    if attributes.group != wanted.group { attributes.permissions = withoutGroup(attributes.permissions) }
    return attributes
  }

  /// A group that had no part in the file gets no more than everybody.
  private static func withoutGroup(_ permissions: UInt32) -> UInt32 {
    permissions & ~0o070 | permissions & (permissions & 0o007) << 3
  }
}
