@testable import BackupEngine
import BackupPolicy
import Glibc
import TestSupport
import Testing

/// Files that root creates in the folders of other users.
@Suite("Files that root creates", .ownThread, .enabled(if: geteuid() == 0, "only root may give files away"))
struct RootFilesTests {
  private let folder: TemporaryFolder
  private let files = SystemFileOperations()
  private static let service: uid_t = 65534

  init() throws {
    folder = try TemporaryFolder()
    chmod(folder.path, 0o755)
    mkdir(folder.path("service"), 0o755)
    chown(folder.path("service"), Self.service, Self.service)
  }

  private func path(_ name: String) -> String { folder.path("service/\(name)") }

  private func owner(_ name: String) throws -> uid_t? { try files.status(path(name))?.owner }

  @Test("Files and folders that root creates belong to the folder's owner")
  func inherit() throws {
    files.close(try files.open(path("new"), .createNew))
    files.close(try files.open(path("lock"), .lockFile))
    try files.makeFolders(path("backups/.state"))
    try files.replace(path("backups/.state/pins.json"), with: [1])
    for name in ["new", "lock", "backups", "backups/.state", "backups/.state/pins.json"] {
      #expect(try owner(name) == Self.service, "\(name)")
    }
    // Root's own folders stay root's, and so do their files.
    try files.makeFolders(folder.path("own/deep"))
    try files.replace(folder.path("own/deep/file"), with: [1])
    #expect(try files.status(folder.path("own/deep/file"))?.owner == 0)
  }

  @Test("Files that an older version left to root are found")
  func leftovers() throws {
    try files.makeFolders(path("backups/.state"))
    try files.replace(path("backups/.state/pins.json"), with: [1])
    #expect(Surroundings.lockedFiles(in: path("backups")) == nil)
    chown(path("backups/.state/pins.json"), 0, 0)
    #expect(
      Surroundings.lockedFiles(in: path("backups"))
        == .init(count: 1, path: path("backups/.state/pins.json"), owner: 0))
    chmod(path("backups/.state/pins.json"), 0o644)
    #expect(Surroundings.lockedFiles(in: path("backups")) == nil)
  }

  @Test(
    "If a service replaced a repository's folder with a link, the link is not followed",
    arguments: [".metadata", ".state"])
  func plantedLink(name: String) throws {
    let bed = try TestBed()
    try bed.makeDatabase()
    try files.makeFolders(bed.backups)
    let elsewhere = folder.path("elsewhere")
    try files.makeFolder(elsewhere)
    let link = "\(bed.backups)/\(name)"
    #expect(symlink(elsewhere, link) == 0 && lchown(link, Self.service, Self.service) == 0)
    let error = #expect(throws: HoldfastError.self) { try bed.engine().create(CreateRequest()) }
    #expect(error?.code == .refused && error?.hint?.contains("rm \(link)") == true)
    #expect(try files.list(elsewhere).isEmpty)
    // Root's own link counts as a folder.
    #expect(lchown(link, 0, 0) == 0)
    _ = try bed.engine().create(CreateRequest())
  }

  @Test("Files that root creates stay root's, and nobody else reads them, if they contain decrypted pages")
  func decrypted() throws {
    files.close(try files.open(path("scratch"), .createPrivate))
    #expect(try owner("scratch") == 0)
    #expect(try files.status(path("scratch"))?.permissions == 0o600)
  }

  @Test("A file that existed before never changes its owner, under any name")
  func existing() throws {
    let victim = try folder.write("victim", [1])
    #expect(link(victim, path("hard")) == 0 && symlink(victim, path("soft")) == 0 && symlink("/", path("root")) == 0)
    files.close(try files.open(path("hard"), .lockFile))
    #expect(throws: HoldfastError.self) { try files.open(path("soft"), .lockFile) }
    #expect(throws: HoldfastError.self) { try files.open(path("hard"), .createNew) }
    #expect(throws: HoldfastError.self) { try files.open(path("soft"), .createNew) }
    try files.makeFolder(path("root"))
    #expect(try files.status(victim)?.owner == 0 && files.status("/")?.owner == 0)
  }
}

/// Attributes of files that replace another one.
@Suite("Attributes of files", .ownThread)
struct FileAttributesTests {
  private let folder: TemporaryFolder
  private let files = SystemFileOperations()

  init() throws { folder = try TemporaryFolder() }

  @Test("Attributes are set as far as this process may, and the others are reported")
  func given() throws {
    let file = try files.open(folder.path("a"), .createNew)
    defer { files.close(file) }
    let own = FileAttributes(permissions: 0o640, owner: geteuid(), group: getegid())
    #expect(try files.setAttributes(file, own) == own)
    #expect(try files.status(file.path)?.attributes == own)
  }

  @Test("A user who is not root keeps its files, and lets no other group in")
  func refused() async {
    await #expect(processExitsWith: .success) {
      let folder = try TemporaryFolder()
      chmod(folder.path, 0o777)
      if geteuid() == 0 { #expect(setgroups(0, nil) == 0 && setegid(65534) == 0 && seteuid(65534) == 0) }
      let files = SystemFileOperations()
      let file = try files.open(folder.path("a"), .createNew)
      let given = try files.setAttributes(file, FileAttributes(permissions: 0o664, owner: 1, group: 1))
      #expect(given == FileAttributes(permissions: 0o644, owner: geteuid(), group: getegid()))
      if getuid() == 0 { seteuid(0) }
    }
  }

  @Test("Extended attributes are copied, except those of the content")
  func extended() throws {
    let old = try folder.write("old", [1])
    let set = """
      import os, sys
      os.setxattr(sys.argv[1], "user.note", b"kept\\0as it is")
      os.setxattr(sys.argv[1], "user.empty", b"")
      """
    guard try Python.run(script: set, arguments: [old]).status == 0 else { return }
    let file = try files.open(folder.path("new"), .createNew)
    defer { files.close(file) }
    #expect(try files.copyExtendedAttributes(of: old, to: file) == [])
    let get = """
      import os, sys
      print([(n, os.getxattr(sys.argv[1], n)) for n in sorted(os.listxattr(sys.argv[1])) if n.startswith("user.")])
      """
    let result = try Python.run(script: get, arguments: [file.path])
    #expect(result.stdout == "[('user.empty', b''), ('user.note', b'kept\\x00as it is')]\n")
  }

  @Test("An access control list is copied")
  func accessControlList() throws {
    let old = try folder.write("old", [1])
    guard (try? Shell.run("setfacl", ["-m", "u:33:rw", old]))?.status == 0 else { return }
    let file = try files.open(folder.path("new"), .createNew)
    defer { files.close(file) }
    let attributes = try #require(try files.status(old)?.attributes)
    _ = try files.setAttributes(file, attributes)
    #expect(try files.copyExtendedAttributes(of: old, to: file) == [])
    let lists = try [old, file.path].map { try Shell.run("getfacl", ["-cpn", $0]).stdout }
    #expect(lists[0] == lists[1] && lists[1].contains("user:33:rw-"))
  }
}

@Suite("Access control lists", .ownThread)
struct AccessListTests {
  @Test("The owning group is recorded with its own rights, not with the list's mask")
  func recorded() throws {
    let bed = try TestBed()
    try bed.makeDatabase()
    chmod(bed.database, 0o600)
    // This user, the owning group with no rights, another user with all, and the mask that allows
    // it.
    let made = try Shell.run(
      "python3",
      [
        "-c",
        """
        import os, struct, sys
        entries = ((1, 6, -1), (2, 6, 1500), (4, 0, -1), (16, 6, -1), (32, 0, -1))
        value = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
        os.setxattr(sys.argv[1], "system.posix_acl_access", value)
        """, bed.database,
      ])
    try #require(made.status == 0, "this file system knows no access control lists: \(made.stderr)")
    #expect(
      try SystemFileOperations().status(bed.database)?.permissions == 0o660, "the mask shows as the group's rights")
    let full = try bed.engine().create(CreateRequest())
    #expect(full.databaseAttributes?.permissions == 0o600)
    bed.time.advance(seconds: 60)
    try bed.change("UPDATE marker SET text = 'more'")
    guard case .stored(let link, _) = try bed.engine().store(CreateRequest(), kind: .incremental) else {
      throw BrokenPromise("nothing was stored")
    }
    #expect(link.parentID == full.id && link.databaseAttributes?.permissions == 0o600)
    for suffix in ["", "-wal", "-shm"] { unlink(bed.database + suffix) }
    try restoreInPlace(bed.engine(), full.id)
    #expect(try SystemFileOperations().status(bed.database)?.permissions == 0o600)
  }
}
