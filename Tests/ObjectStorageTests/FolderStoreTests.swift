import Glibc
import Synchronization
import TestSupport
import Testing

@testable import ObjectStorage

/// The mistakes that only a folder can make.
@Suite(.ownThread) struct FolderStoreTests {
  private let folder: TemporaryFolder
  private let store: FolderStore

  init() throws {
    folder = try TemporaryFolder()
    store = FolderStore(folder.path)
  }

  @Test func aMissingFolderIsNotCreated() throws {
    let absent = FolderStore(folder.path("absent"))
    for error in [
      #expect(throws: StoreError.self) { try absent.put("a", ObjectContent([1])) },
      #expect(throws: StoreError.self) { try absent.head("a") },
      #expect(throws: StoreError.self) { try absent.list(ListQuery()) },
      #expect(throws: StoreError.self) { try absent.delete("a") },
    ] { #expect(error?.kind == .noContainer) }
    #expect(access(folder.path("absent"), F_OK) != 0)
  }

  @Test func aPutMakesTheFoldersBelow() throws {
    let store = FolderStore(folder.path, below: ["shop", "copies"])
    #expect(try store.listAll(ListQuery()).objects.isEmpty && store.head("a") == nil)
    try store.delete("a")
    #expect(access(folder.path("shop"), F_OK) != 0)
    try store.put("a", ObjectContent([1]))
    #expect(try folder.read("shop/copies/a") == [1])
    #expect(try store.listAll(ListQuery()).objects.map(\.key) == ["a"] && store.get("a") == [1])
    try store.delete("a")
    let absent = FolderStore(folder.path("absent"), below: ["shop"])
    let error = #expect(throws: StoreError.self) { try absent.put("a", ObjectContent([1])) }
    #expect(error?.kind == .noContainer)
  }

  @Test func aFileSystemWithoutHardLinksIsAStore() throws {
    guard let disk = try MountedFolder(.fat) else { return }
    let store = FolderStore(disk.path, below: ["shop", "copies"])
    try store.put("a/b", ObjectContent([1]), PutOptions(createOnly: true))
    #expect(try store.get("a/b") == [1])
    let error = #expect(throws: StoreError.self) {
      try store.put("a/b", ObjectContent([2]), PutOptions(createOnly: true))
    }
    #expect(error?.kind == .exists && (try? store.get("a/b")) == [1])
  }

  @Test(arguments: [FileSystemKind.ext4, .xfs, .tmpfs])
  func whatDoesNotFitIsNotWritten(on kind: FileSystemKind) throws {
    guard let disk = try MountedFolder(kind) else { return }
    let store = FolderStore(disk.path)
    let sent = Mutex<Int64>(0)
    let big = folder.path("big")
    try folder.write("big", [])
    #expect(truncate(big, 400 << 20) == 0)
    let file = open(big, O_RDONLY)
    defer { close(file) }
    let content = ObjectContent(descriptor: file, length: 400 << 20, sha256: [UInt8](repeating: 0, count: 32))
    var options = PutOptions()
    options.sent = { count in
      sent.withLock { $0 = count }
      return true
    }
    let error = #expect(throws: StoreError.self) { try store.put("a/b", content, options) }
    #expect(error?.kind == .full && sent.withLock { $0 } == 0)
    #expect(try store.listAll(ListQuery()).objects.isEmpty)
  }

  @Test func aFileInPlaceOfTheFolderIsNoStore() throws {
    try folder.write("file", [1])
    for store in [FolderStore(folder.path("file")), FolderStore(folder.path, below: ["file"])] {
      for error in [
        #expect(throws: StoreError.self) { try store.put("a", ObjectContent([1])) },
        #expect(throws: StoreError.self) { try store.head("a") },
        #expect(throws: StoreError.self) { try store.list(ListQuery()) },
      ] {
        #expect(error?.kind == .noContainer)
        #expect(error?.message.hasSuffix("\(folder.path("file")) is not a folder") == true, "\(error?.message ?? "")")
      }
    }
  }

  @Test func linksAreNotFollowed() throws {
    let outside = try TemporaryFolder()
    try outside.write("secret", [42])
    symlink(outside.path, folder.path("link"))
    symlink(outside.path("secret"), folder.path("file"))
    #expect(try store.head("link/secret") == nil && store.head("file") == nil)
    #expect(try store.listAll(ListQuery()).objects.isEmpty)
    let error = #expect(throws: StoreError.self) { try store.put("link/new", ObjectContent([1])) }
    #expect(error?.kind == .invalid)
    try store.delete("link/secret")
    #expect(try outside.read("secret") == [42] && outside.read("new") == nil)
  }

  @Test func onlyRegularFilesAreObjects() throws {
    mkfifo(folder.path("pipe"), 0o600)
    mkdir(folder.path("empty"), 0o700)
    try folder.write(".holdfast-rest", [1])
    #expect(try store.head("pipe") == nil && store.head("empty") == nil)
    let page = try store.list(ListQuery(groupsFolders: true))
    #expect(page.objects.isEmpty && page.folders.isEmpty)
    let error = #expect(throws: StoreError.self) { try store.put("empty", ObjectContent([1])) }
    #expect(error?.kind == .invalid)
  }

  @Test func aFailedPutLeavesNothing() throws {
    let file = open(try folder.write("source", [1, 2, 3]), O_RDONLY)
    defer { close(file) }
    let wrong = ObjectContent(descriptor: file, length: 3, sha256: [UInt8](repeating: 0, count: 32))
    #expect(throws: StoreError.self) { try store.put("d/x", wrong) }
    let rest = try Shell.run("find", [folder.path, "-name", ".holdfast-*"])
    #expect(rest.stdout.isEmpty)
  }

  @Test func leftoversOfCrashesAreRemoved() throws {
    try store.put("a/b", ObjectContent([1]))
    for name in [".holdfast-1", "a/.holdfast-2"] { try folder.write(name, [1]) }
    #expect(try store.removeLeftovers(before: 0) == 0)
    #expect(try store.removeLeftovers(before: .max) == 2 && store.removeLeftovers(before: .max) == 0)
    #expect(try store.get("a/b") == [1])
  }

  @Test func removalTakesEmptyFoldersWithIt() throws {
    for key in ["a/b/c/1", "a/b/2"] { try store.put(key, ObjectContent([1])) }
    try store.delete("a/b/c/1")
    #expect(access(folder.path("a/b/c"), F_OK) != 0 && access(folder.path("a/b/2"), F_OK) == 0)
    try store.delete("a/b/2")
    #expect(access(folder.path("a"), F_OK) != 0 && access(folder.path, F_OK) == 0)
  }

  @Test func namesThatAreNotUTF8ComeBack() throws {
    let key = [UInt8(ascii: "n"), 0xFF, 0xC3].withUnsafeBytes { String(pathBytes: $0) }
    try store.put("d/" + key, ObjectContent([7]))
    #expect(try store.listAll(ListQuery()).objects.map(\.key) == ["d/" + key])
    #expect(try store.get("d/" + key) == [7])
  }

  @Test func aNameTooLongForTheFileSystemIsInvalid() {
    let error = #expect(throws: StoreError.self) {
      try store.put(String(repeating: "x", count: 256), ObjectContent([1]))
    }
    #expect(error?.kind == .invalid)
  }
}
