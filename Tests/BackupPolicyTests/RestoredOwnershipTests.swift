@testable import BackupPolicy

import Testing

@Suite("The owner of a restored file")
struct RestoredOwnershipTests {
  private static let folder = FileAttributes(permissions: 0o2770, owner: 3001, group: 4000)
  private static let database = FileAttributes(permissions: 0o640, owner: 3001, group: 4000)

  private func facts(
    user: UInt32, group: UInt32 = 100, groups: Set<UInt32> = [], mask: UInt32 = 0o022,
    recorded: FileAttributes? = database, existing: FileAttributes? = nil, folder: FileAttributes = folder
  ) -> FileOwnershipFacts {
    FileOwnershipFacts(
      recorded: recorded, existing: existing, folder: folder,
      process: ProcessFacts(user: user, group: group, groups: groups, mask: mask))
  }

  private func decide(_ install: Install, _ facts: FileOwnershipFacts) throws -> RestoredOwnership {
    try RestoredOwnership(install, "/srv/app.db", facts)
  }

  @Test("Root and the owner give back the attributes of the old file", arguments: [0, 3001] as [UInt32])
  func replaced(user: UInt32) throws {
    let facts = facts(user: user, groups: [4000], recorded: nil, existing: Self.database)
    let given = try decide(.replace, facts)
    #expect(given.attributes == Self.database && given.warnings.isEmpty)
  }

  @Test("A file that its application could no longer write is not installed")
  func member() {
    let error = #expect(throws: RestoreRefusal.self) {
      try decide(.replace, facts(user: 3002, group: 4000, existing: Self.database))
    }
    #expect(error?.code == .refused && error?.reason.contains("belongs to user 3001") == true)
  }

  @Test("A member of the group may replace a file that the whole group may write, and this is reported")
  func writableByGroup() throws {
    var old = Self.database
    old.permissions = 0o660
    let given = try decide(.replace, facts(user: 3002, group: 4000, existing: old))
    #expect(given.attributes == FileAttributes(permissions: 0o660, owner: 3002, group: 4000))
    #expect(given.warnings.count == 1 && given.warnings[0].contains("will belong to 3002:4000"))
  }

  @Test("A group without access to the old file gets no more rights than everybody")
  func otherGroup() throws {
    var folder = Self.folder
    folder.permissions = 0o755
    let given = try decide(.replace, facts(user: 3001, group: 100, existing: Self.database, folder: folder))
    #expect(given.attributes == FileAttributes(permissions: 0o600, owner: 3001, group: 100))
    #expect(given.warnings.count == 1)
  }

  @Test("No file may be executed", arguments: [Install.replace, .newFile])
  func execution(install: Install) throws {
    let loose = FileAttributes(permissions: 0o7777, owner: 3001, group: 4000)
    for existing in [loose, nil] {
      for recorded in [loose, nil] {
        let given = try decide(install, facts(user: 0, mask: 0, recorded: recorded, existing: existing))
        #expect(given.attributes.permissions & ~0o666 == 0)
      }
    }
  }

  @Test("A lost database gets its recorded attributes, or those of a new file if there is no record")
  func lost() throws {
    #expect(try decide(.replace, facts(user: 0)).attributes == Self.database)
    #expect(try decide(.replace, facts(user: 0, recorded: nil)).attributes.permissions == 0o644)
    let mine = try decide(.replace, facts(user: 3001, groups: [4000], mask: 0o077))
    #expect(mine.attributes == Self.database && mine.warnings.isEmpty)
    let other = try decide(.replace, facts(user: 3002, group: 4000))
    #expect(other.attributes == FileAttributes(permissions: 0o640, owner: 3002, group: 4000))
    #expect(other.warnings.count == 1 && other.warnings[0].contains("belonged to 3001:4000"))
  }

  @Test("A record that anybody may have written, or another machine's number, gives no user a file")
  func doubt() throws {
    let open = FileAttributes(permissions: 0o666, owner: 5, group: 5)
    var planted = facts(user: 0, mask: 0o027, recorded: open)
    planted.isAuthentic = false
    #expect(
      try decide(.replace, planted).attributes == FileAttributes(permissions: 0o640, owner: 3001, group: 4000))
    var moved = facts(user: 0, recorded: FileAttributes(permissions: 0o600, owner: 5, group: 5))
    moved.isFromHere = false
    let given = try decide(.replace, moved)
    #expect(given.attributes == FileAttributes(permissions: 0o600, owner: 3001, group: 4000))
    #expect(given.warnings.count == 1)
  }

  @Test("Another file gets no more than the database had, nor more than the umask allows")
  func newFile() throws {
    for (recorded, mask, expected) in [
      (0o600, 0o022, 0o600), (0o666, 0o077, 0o600), (0o640, 0o022, 0o640), (0o664, 0o022, 0o644), (nil, 0o027, 0o640),
    ] as [(UInt32?, UInt32, UInt32)] {
      let attributes = recorded.map { FileAttributes(permissions: $0, owner: 3001, group: 4000) }
      let given = try decide(.newFile, facts(user: 3002, group: 7, mask: mask, recorded: attributes))
      #expect(given.attributes == FileAttributes(permissions: expected, owner: 3002, group: 4000))
      #expect(given.warnings.isEmpty)
    }
    #expect(try decide(.newFile, facts(user: 0)).attributes.owner == 3001)
  }

  @Test("The permissions are read as they are written")
  func octal() {
    for permissions in [0, 0o600, 0o640, 0o4755, 0o7777] as [UInt32] {
      let text = FileAttributes(permissions: permissions, owner: 0, group: 0).octal
      #expect(FileAttributes.permissions(octal: text) == permissions, "\(text)")
    }
    #expect(FileAttributes.permissions(octal: "17777") == nil && FileAttributes.permissions(octal: "8") == nil)
  }

  @Test("A live restore leaves the file as it is")
  func live() {
    #expect(RestoreCase().plan?.attributes == nil)
    let lost = RestoreCase().with {
      $0.target = RestoreCase.missing; $0.ownership.existing = nil
    }
    #expect(lost.plan?.attributes?.permissions == 0o644)
  }

  @Test("Beside an access control list the group keeps its own rights within the mask, and does not get the mask's")
  func accessList() {
    func restricted(_ entries: [(tag: UInt8, rights: UInt8)], version: UInt8 = 2) -> UInt32 {
      var list: [UInt8] = [version, 0, 0, 0]
      for entry in entries { list += [entry.tag, 0, entry.rights, 0, 0xFF, 0xFF, 0xFF, 0xFF] as [UInt8] }
      let mode = FileAttributes(permissions: 0o4664, owner: 1, group: 2)
      return mode.restricted(byAccessList: list).permissions
    }
    // The owner, another user, the owning group, another group, the mask, everybody.
    #expect(restricted([(1, 6), (2, 6), (4, 0), (16, 6), (32, 4)]) == 0o4604)
    #expect(restricted([(1, 6), (4, 6), (8, 6), (16, 4), (32, 4)]) == 0o4644)
    #expect(restricted([(1, 6), (4, 6), (16, 6), (32, 4)]) == 0o4664)
    #expect(restricted([(1, 6), (4, 4), (32, 4)]) == 0o4644)
    // A list that is not understood gives no rights.
    #expect(restricted([(1, 6), (4, 6), (16, 6), (32, 4)], version: 3) == 0o4604)
    #expect(FileAttributes(permissions: 0o660, owner: 1, group: 2).restricted(byAccessList: []).permissions == 0o600)
  }
}
