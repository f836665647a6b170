/// The facts that decide the owner of a restored file.
package struct FileOwnershipFacts: Hashable, Sendable {
  /// The database's attributes when it was backed up; nil if the backup does not record them.
  package var recorded: FileAttributes?
  /// The backup is authenticated, and so are its owners and permissions.
  package var isAuthentic: Bool
  /// The backup was made on this machine, so that the same number is the same user.
  package var isFromHere: Bool
  /// Of the file to be replaced; nil if there is no file.
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

/// The owner and the permissions of a restored file.
///
/// A file that replaces another one, or a lost database, gets the attributes of that file, as far
/// as this process may set them. A new file gets at most the permissions that the database had and
/// that the umask leaves. No file gets a permission to execute.
package struct RestoredOwnership: Hashable {
  package var attributes: FileAttributes
  /// Lower case, no full stop.
  package var warnings: [String] = []

  /// - Throws: if the application could no longer write the restored file.
  init(_ install: Install, _ path: String, _ facts: FileOwnershipFacts) throws(RestoreRefusal) {
    switch (install, facts.existing) {
    case (.newFile, _): self.init(newFile: facts)
    case (_, let existing?): try self.init(replacing: existing, path, facts)
    case (_, nil): self.init(lost: path, facts)
    }
  }

  private static let usable: UInt32 = 0o666

  /// The attributes of a file that this process creates there: root's files belong to the folder's
  /// owner.
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
          + "its application could no longer write to it",
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
    // A metadata file of unknown origin gives no more permissions than a new file has.
    guard facts.isAuthentic else {
      attributes = Self.made(facts, recorded.permissions & most)
      return
    }
    // On another machine the number may belong to a different user.
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

  /// The wanted attributes, as far as this process may set them on a file of its own.
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

  /// If the group had no permissions on the old file, it gets no more than all users have.
  private static func withoutGroup(_ permissions: UInt32) -> UInt32 {
    permissions & ~0o070 | permissions & (permissions & 0o007) << 3
  }
}
