/// The owner of a file and its permissions.
///
/// ```swift
/// let plan = try await service.planRestore(backup.id)
/// if let attributes = plan.attributes { print("the file will belong to user \(attributes.owner)") }
/// ```
public struct FileAttributes: Hashable, Sendable {
  /// Permission bits (07777).
  public package(set) var permissions: UInt32
  /// The number of the user.
  public package(set) var owner: UInt32
  /// The number of the group.
  public package(set) var group: UInt32

  package init(permissions: UInt32, owner: UInt32, group: UInt32) {
    self.permissions = permissions
    self.owner = owner
    self.group = group
  }

  /// As `ls -l` and `stat` number them: `3001:4000`.
  package var ownerInWords: String { "\(owner):\(group)" }

  /// The permissions in octal digits, with a leading zero: `0640`.
  package var octal: String { "0" + String(permissions & 0o7777, radix: 8) }

  /// Parses the text of ``octal``; nil if the text has another form.
  package static func permissions(octal text: String) -> UInt32? {
    guard text.count <= 5, let value = UInt32(text, radix: 8), value <= 0o7777 else { return nil }
    return value
  }
}

extension FileAttributes {
  private static let (groupEntry, maskEntry): (UInt16, UInt16) = (0x04, 0x10)

  /// The same with the effective rights of the owning group.
  ///
  /// If there is an access control list, the group's bits of the mode are the list's mask: the
  /// maximum for any user or group in it.
  ///
  /// - Parameter list: the value of `system.posix_acl_access`, in Linux's layout: a version, then
  ///   tag, rights and ID of each entry. If it is not understood, the group has no rights.
  package func restricted(byAccessList list: [UInt8]) -> FileAttributes {
    var rights: [UInt16: UInt32] = [:]
    for start in stride(from: 4, to: list.count - 7, by: 8) {
      let tag = UInt16(list[start]) | UInt16(list[start + 1]) << 8
      rights[tag] = UInt32(list[start + 2]) & 0o7
    }
    let isKnown = list.starts(with: [2, 0, 0, 0])
    let group = isKnown ? (rights[Self.groupEntry] ?? 0) & (rights[Self.maskEntry] ?? 0o7) : 0
    var result = self
    result.permissions = permissions & ~0o070 | permissions & group << 3
    return result
  }
}

/// The rights of a process on files.
package struct ProcessFacts: Hashable, Sendable {
  /// The effective user.
  package var user: UInt32
  /// The effective group: that of new files, unless their folder passes on its own.
  package var group: UInt32
  /// The effective group and the supplementary ones.
  package var groups: Set<UInt32>
  /// The permissions that new files do not get.
  package var mask: UInt32

  package init(user: UInt32, group: UInt32, groups: Set<UInt32> = [], mask: UInt32) {
    self.user = user
    self.group = group
    self.groups = groups.union([group])
    self.mask = mask
  }

  package var isRoot: Bool { user == 0 }
}
