import BackupPolicy
import SQLitePages

/// An image that does not change while it is read. Safe to read from several threads.
protocol ImageSource: Sendable {
  /// Bytes in a page; 0 for an empty database and for what is no database.
  var pageSize: Int { get }
  var pageCount: UInt32 { get }
  var imageSize: Int64 { get }
  /// Fills `buffer` from `offset`, a multiple of the page size, with whole pages.
  func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws
}

extension ImageSource {
  /// Writes the whole image to a file.
  ///
  /// - Parameter activity: what that is called while it goes on.
  func copy(to file: OpenFile, _ files: any FileOperations, _ progress: Progress, as activity: String) throws {
    guard imageSize > 0 else { return }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: GzipMember.chunkSize, alignment: 4096)
    defer { buffer.deallocate() }
    var offset: Int64 = 0
    while offset < imageSize {
      let count = Int(min(Int64(buffer.count), imageSize - offset))
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
      try read(at: offset, into: part)
      try files.write(file, UnsafeRawBufferPointer(part), at: offset)
      offset += Int64(count)
      try progress.update(activity, offset, of: imageSize)
    }
  }
}

extension ImageSource {
  /// The page that covers SQLite's locking bytes; it never holds data.
  var lockPage: UInt32 { PageShape.lockPage(pageSize: pageSize) }
}

enum PageShape {
  /// Number of the page at 1 GiB, 0 for an unknown page size.
  static func lockPage(pageSize: Int) -> UInt32 {
    pageSize == 0 ? 0 : UInt32(0x4000_0000 / pageSize) + 1
  }
}

/// A live database's snapshot.
struct SnapshotSource: ImageSource {
  let snapshot: DatabaseSnapshot
  /// SQLite names a page size for an empty database too; it is one that nothing has been written with.
  var pageSize: Int { snapshot.geometry.pageCount == 0 ? 0 : snapshot.geometry.pageSize }
  var pageCount: UInt32 { snapshot.geometry.pageCount }
  var imageSize: Int64 { snapshot.geometry.imageSize }

  func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws {
    do {
      let first = UInt32(offset / Int64(pageSize)) + 1
      try snapshot.read(first: first, count: buffer.count / pageSize, into: buffer)
    } catch let error as DatabaseError {
      throw HoldfastError(error)
    }
  }
}

/// A raw copy that was staged so that a rollback-journal database's lock lasts no longer than the copy.
struct StagedSource: ImageSource {
  let file: OpenFile
  let files: any FileOperations
  let pageSize: Int
  let pageCount: UInt32
  var imageSize: Int64 { Int64(pageSize) * Int64(pageCount) }

  func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws {
    guard try files.read(file, into: buffer, at: offset) == buffer.count else {
      throw HoldfastError(.failed, "the staged copy \(file.path) is shorter than it was")
    }
  }
}
