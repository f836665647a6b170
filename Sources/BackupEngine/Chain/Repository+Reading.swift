import BackupPolicy

extension Repository {
  /// Reads a point, and once more where that failed and the repository's folder, or the point's archive, is another one by then.
  ///
  /// Which archives a chain has is looked up before they are opened; in between compaction may have merged some of them.
  ///
  /// - Parameters:
  ///   - isGood: false for a result that may be owed to that.
  ///   - body: gets the point as it is known; the second time as it is then.
  func reading<Result>(
    _ point: StoredPoint, isGood: (Result) -> Bool = { _ in true }, _ body: (StoredPoint) throws -> Result
  ) throws -> Result {
    guard point.isIncremental else { return try body(point) }
    let before = try files.status(folder)
    func fresh() throws -> StoredPoint? {
      guard let now = try stored(point.id), now.metadata.sequence == point.metadata.sequence,
        try files.status(folder) != before || now.metadata.checksum != point.metadata.checksum
      else { return nil }
      return now
    }
    do {
      let result = try body(point)
      guard !isGood(result), let fresh = try fresh() else { return result }
      return try body(fresh)
    } catch {
      guard (error as? HoldfastError)?.code != .interrupted, let fresh = try? fresh() else { throw error }
      return try body(fresh)
    }
  }
}
