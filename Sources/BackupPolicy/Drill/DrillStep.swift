/// What a drill does, in this order; the raw value is what the history calls it.
package enum DrillStep: String, Hashable, Sendable, CaseIterable {
  /// Reads the archives, proves them, and writes the database to scratch space.
  case restore
  /// SQLite's own check of what came out.
  case integrity
  /// The rows of each table against those that were counted when the point was made.
  case rowCounts = "row_counts"
  /// The configured queries.
  case assertions

  /// For messages: what did not work.
  package var words: String {
    switch self {
    case .restore: "restoring it"
    case .integrity: "SQLite's integrity check"
    case .rowCounts: "counting its rows"
    case .assertions: "the assertions"
    }
  }
}
