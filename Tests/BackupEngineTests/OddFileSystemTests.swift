import BackupPolicy
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import BackupEngine

/// Repositories on file systems that promise less than a local disk.
@Suite("Repositories on real file systems", .ownThread)
struct OddFileSystemTests {
  /// The errors that the file operations reported.
  private final class Reports: Sendable {
    private let errors = Mutex<[HoldfastError]>([])
    var messages: [String] { errors.withLock { $0.map(\.message) } }
    func files() -> SystemFileOperations {
      SystemFileOperations { [self] error in errors.withLock { $0.append(error) } }
    }
  }

  private func bed(_ kind: FileSystemKind, _ options: [String] = []) throws -> (MountedFolder, TestBed)? {
    guard let mount = try MountedFolder(kind, options: options) else { return nil }
    let bed = try TestBed(in: mount.path)
    try bed.makeDatabase(rows: 30)
    return (mount, bed)
  }

  @Test("Store, verify and restore work on every file system", arguments: FileSystemKind.allCases)
  func everyFileSystem(kind: FileSystemKind) throws {
    guard let (mount, bed) = try bed(kind, ["stamps=2", "numbers=0"]) else { return }
    defer { withExtendedLifetime(mount) {} }
    let reports = Reports()
    let engine = bed.engine(files: reports.files())
    let point = try engine.create(CreateRequest())
    try bed.change("UPDATE marker SET text = 'second'")
    bed.time.advance(milliseconds: 1000)
    _ = try engine.create(CreateRequest())
    #expect(try engine.verify(point.id.text).verified)
    try restoreInPlace(engine, point.id)
    #expect(try bed.marker() == "first")
    #expect(reports.messages == [])
  }

  @Test("A folder that cannot be flushed costs one warning", arguments: [EINVAL, EOPNOTSUPP])
  func unflushable(code: Int32) throws {
    guard let (mount, bed) = try bed(.odd, ["folder_sync=\(code)"]) else { return }
    let reports = Reports()
    let engine = bed.engine(files: reports.files())
    let point = try engine.create(CreateRequest())
    #expect(try engine.verify(point.id.text).verified)
    #expect(reports.messages.count == 1)
    #expect(reports.messages.first?.contains("cannot flush the folder \(mount.path)") == true)
    #expect(Surroundings.place(bed.backups).flushesFolders == false)
  }

  @Test("A folder whose flush fails is an error")
  func failingFlush() throws {
    guard let (mount, bed) = try bed(.odd, ["folder_sync=\(EIO)"]) else { return }
    defer { withExtendedLifetime(mount) {} }
    let reports = Reports()
    #expect { try bed.engine(files: reports.files()).create(CreateRequest()) } throws: {
      ($0 as? HoldfastError)?.code == .ioError
    }
    #expect(reports.messages == [])
  }

  @Test("A file system without locks is distinguished from a repository in use")
  func noLocks() throws {
    guard let (mount, bed) = try bed(.odd, ["lock=\(ENOLCK)"]) else { return }
    defer { withExtendedLifetime(mount) {} }
    #expect { try bed.engine(files: SystemFileOperations()).create(CreateRequest()) } throws: {
      let error = $0 as? HoldfastError
      return error?.code == .failed && error?.hint?.contains("does not support locks") == true
    }
  }

  @Test("A file system that reports no numbers has room")
  func noNumbers() throws {
    guard let (mount, bed) = try bed(.odd, ["numbers=0"]) else { return }
    defer { withExtendedLifetime(mount) {} }
    let files = SystemFileOperations()
    #expect(try files.capacity(bed.folder.path) == 0)
    #expect(try files.freeSpace(bed.folder.path) == .max)
    let place = Surroundings.place(bed.folder.path)
    #expect(place.free == nil && place.flushesFolders == true)
    #expect(Surroundings.place(bed.database).hasFineStamps == false)
    let engine = bed.engine(files: files)
    for _ in 0..<3 {
      _ = try engine.create(CreateRequest())
      bed.time.advance(milliseconds: 1000)
    }
    let decision = try engine.planCleanup(RetentionPolicy(minFreeSpace: .bytes(1 << 40)))
    #expect(decision.remove.isEmpty && decision.keep.count == 3)
  }
}
