import CSQLite
import Glibc
import SQLitePages
import TestSupport

/// Bytes of page 1 that SQLite's backup call sets anew in its copy: change counter, schema cookie,
/// version-valid-for and version number.
let headerCounters = Array(24..<28) + Array(40..<44) + Array(92..<100)

extension DatabaseSnapshot {
  /// All pages, read in pieces of a few pages each.
  func image(pagesAtOnce: Int = 7) throws -> [UInt8] {
    let size = geometry.pageSize
    var image = [UInt8](repeating: 0xAA, count: Int(geometry.pageCount) * size)
    try image.withUnsafeMutableBytes { buffer in
      for first in stride(from: 0, to: Int(geometry.pageCount), by: pagesAtOnce) {
        let count = min(pagesAtOnce, Int(geometry.pageCount) - first)
        let slice = UnsafeMutableRawBufferPointer(rebasing: buffer[first * size..<(first + count) * size])
        try read(first: UInt32(first + 1), count: count, into: slice)
      }
    }
    return image
  }
}

/// Returns the first page that differs between two images, apart from the header's counters, or nil
/// if all are equal.
func firstDifference(_ left: [UInt8], _ right: [UInt8], pageSize: Int) -> Int? {
  guard left.count == right.count else { return min(left.count, right.count) / pageSize + 1 }
  var (left, right) = (left, right)
  for index in headerCounters where index < left.count { (left[index], right[index]) = (0, 0) }
  if left == right { return nil }
  return zip(left, right).enumerated().first { $1.0 != $1.1 }.map { $0.offset / pageSize + 1 }
}

/// A snapshot of a database, as a whole image.
func snapshotImage(of path: String, scratch: String) throws -> [UInt8] {
  let connection = try DatabaseConnection(path: path, access: .observer)
  let snapshot = try DatabaseSnapshot(connection, scratchPath: scratch)
  defer { snapshot.end() }
  return try snapshot.image()
}

/// The names in a folder.
func names(in folder: String) throws -> Set<String> {
  Set(try FolderDigest.of(folder).entries.keys.filter { $0 != "." })
}

/// Returns the kind of the `DatabaseError` that `body` throws, or nil if it throws no such error.
func errorKind(_ body: () throws -> Void) -> DatabaseError.Kind? {
  do {
    try body()
    return nil
  } catch {
    return (error as? DatabaseError)?.kind
  }
}
