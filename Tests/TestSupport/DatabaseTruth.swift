import CSQLite
import Glibc

/// SQLite's own view of a database's content at one moment.
package struct DatabaseTruth {
  /// Every page as its pager sees it.
  package let image: [UInt8]
  /// The copy that `sqlite3_backup` makes in the same transaction.
  package let copy: [UInt8]
  package let pageSize: Int

  /// Bytes of page 1 in which a copy may differ: the journal versions, the counters, the schema
  /// cookie.
  private static let counters = [18..<20, 24..<28, 40..<44, 92..<100]

  package init(_ application: DatabaseApplication) throws {
    try application.run("BEGIN; SELECT count(*) FROM sqlite_schema")
    defer { _ = application.attempt("COMMIT") }
    image = try application.image()
    pageSize = Int(try application.value("PRAGMA page_size") ?? "") ?? 4096
    let memory = try DatabaseApplication(":memory:", "PRAGMA page_size = \(pageSize)")
    defer { memory.close() }
    try application.backup(into: memory)
    copy = try memory.image()
  }

  /// The reason why an image differs from this; nil if it does not.
  package func objection(to other: [UInt8]) -> String? {
    objection(image, other, "the pager") ?? objection(Self.masked(copy), Self.masked(other), "sqlite3_backup")
  }

  private func objection(_ own: [UInt8], _ other: [UInt8], _ name: String) -> String? {
    if own.count != other.count { return "\(other.count) bytes, and \(own.count) by \(name)" }
    let pages = own.withUnsafeBytes { own in
      other.withUnsafeBytes { other in
        stride(from: 0, to: own.count, by: pageSize).filter { start in
          memcmp(own.baseAddress! + start, other.baseAddress! + start, pageSize) != 0
        }
      }
    }
    return pages.isEmpty ? nil : "pages \(pages.map { $0 / pageSize + 1 }) are not as \(name) has them"
  }

  private static func masked(_ image: [UInt8]) -> [UInt8] {
    guard image.count >= 100 else { return image }
    var image = image
    for range in counters { for offset in range { image[offset] = 0 } }
    return image
  }
}
