/// What is compared of two states of a database to tell work from an accident.
package struct ContentFacts: Hashable, Sendable {
  /// Names the file itself: another one means that a file was moved over the path or made anew.
  package var file: String
  /// Bytes of the pages in use: all but those on the freelist.
  package var usedBytes: Int64
  /// Tables in the schema, SQLite's own included.
  package var tables: Int64

  package init(file: String, usedBytes: Int64, tables: Int64) {
    self.file = file
    self.usedBytes = usedBytes
    self.tables = tables
  }
}
