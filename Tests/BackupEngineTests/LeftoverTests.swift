import BackupPolicy
import Glibc
import TestSupport
import Testing

@testable import BackupEngine

/// Temporary files of runs that died: removed if that is safe, and never a reason to fail.
@Suite("Left-over files of killed runs", .ownThread)
struct LeftoverTests {
  private static let names = [".tmp-backup_20260101_000000", ".tmp-verify-1", ".tmp-copy-1"]

  private func bed() throws -> TestBed {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 10)
    _ = try bed.engine().create(CreateRequest())
    for name in Self.names { try bed.folder.write("backups/\(name)", [1, 2, 3]) }
    bed.time.advance(milliseconds: 60000)
    return bed
  }

  private func left(_ bed: TestBed) throws -> [String] {
    try SystemFileOperations().list(bed.backups).filter { $0.hasPrefix(".tmp-") }
  }

  @Test("A left-over file is also removed by NFS's rule of locks")
  func locksOfNFS() throws {
    let bed = try bed()
    _ = try bed.engine(files: UnflushedFileOperations(locksAsNFS: true)).create(CreateRequest())
    #expect(try left(bed) == [])
  }

  @Test(
    "A left-over file stays, and stops nothing, if it cannot be judged", arguments: [EBADF, EACCES, EIO, ENOLCK, EROFS])
  func unjudged(code: Int32) throws {
    let counting = StepFaults()
    let world = try bed()
    _ = try world.engine(files: counting).create(CreateRequest())
    let concerned = counting.steps.enumerated().filter { Self.name(in: $1) != nil }.map(\.offset)
    #expect(concerned.count == 4 * Self.names.count, "\(counting.steps)")
    for index in concerned {
      let bed = try bed()
      let faults = StepFaults(failAt: index + 1, .error(code))
      let outcome = Result { try bed.engine(files: faults).create(CreateRequest()) }
      // Folders are listed in any order, so it may be another file's step.
      let step = faults.steps[index]
      guard let name = Self.name(in: step) else { continue }
      #expect(throws: Never.self, "\(step)") { try outcome.get() }
      #expect(try left(bed) == [name], "\(step)")
    }
  }

  /// The left-over file that a step concerns.
  private static func name(in step: String) -> String? {
    names.first { step.contains("/\($0)") && !step.contains("→") }
  }

  @Test("A repository whose file system has no locks is not reported as in use", arguments: [ENOLCK, EOPNOTSUPP])
  func noLocks(code: Int32) {
    let error = HoldfastError(lockErrno: code, "/backups/.state/lock")
    #expect(error.code != .busy)
    #expect(error.hint?.contains("does not support locks") == true)
  }

  private func isUnsupported(_ code: Int32) -> Bool { FolderFlush.isUnsupported(code) }

  @Test("A failed flush of a folder is ignored only if the file system has no such flush")
  func folderFlushes() {
    #expect([EINVAL, EOPNOTSUPP, ENOSYS].allSatisfy(isUnsupported))
    #expect(![EIO, ENOSPC, EDQUOT, EROFS, EBADF, EACCES].contains(where: isUnsupported))
  }
}
