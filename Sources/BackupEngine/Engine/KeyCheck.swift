import BackupPolicy

extension Engine {
  /// Checks that the credentials open a backup's archive: by its header or, for `aes-256-cbc`,
  /// which has no header, by the beginning of its content. A restore checks this before anything is
  /// stored, because a safety backup under a mistyped password could never be opened. Damage is
  /// left to the verification.
  ///
  /// - Throws: `keyMissing`, `wrongKey`.
  package func requireKey(to point: StoredPoint) throws {
    guard point.name.encrypted, !point.archiveMissing else { return }
    let files = environment.files
    let repository = try repository()
    let file = try repository.reportingRemoval(of: [point]) {
      try files.open(repository.path(point.name.text), .readNoFollow)
    }
    defer { files.close(file) }
    do {
      if let head = try SealedHeader(file, files) {
        _ = try head.unlock(credentials)
      } else {
        try requirePassword(to: point, try HashingFileReader(file, files))
      }
    } catch let error as HoldfastError {
      guard error.code != .archiveCorrupt else { return }
      throw error.during("open \(point.id)")
    }
  }

  private func requirePassword(to point: StoredPoint, _ reader: HashingFileReader) throws {
    let expected: [UInt8] = point.name.compressed ? [0x1f, 0x8b] : Array("SQLite format 3\0".utf8)
    var start = [UInt8](repeating: 0, count: expected.count)
    let source = try CBCSource(reader, credentials: credentials)
    // If an archive is too short to show its beginning, it proves nothing either way.
    guard let count = try? start.withUnsafeMutableBytes({ try source.read(into: $0) }), count == start.count else {
      return
    }
    guard start != expected else { return }
    throw HoldfastError(
      .wrongKey, "the password does not open it, or it is damaged\(credentials.tried)",
      hint: "use the password that was set when this backup was stored")
  }
}
