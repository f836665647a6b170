import CXXHash
import Names

/// Numbers that stand for the tables of a database, few enough for every archive's header.
enum TableMarks {
  static let limit = 16

  /// The lowest of the low 32 bits of XXH3-64 of each name's UTF-8, at most ``limit``: of two databases with the same tables the
  /// same, of two that share most tables mostly the same (a bottom-k sketch).
  static func of(_ names: some Sequence<Identifier>) -> Set<UInt32> {
    // SQLite's own tables are in any database.
    let marks = names.lazy.filter { !$0.isInternal }.map { name in
      name.bytes.withUnsafeBytes { UInt32(truncatingIfNeeded: XXH3_64bits($0.baseAddress, $0.count)) }
    }
    return Set(Set(marks).sorted().prefix(limit))
  }
}
