import BackupPolicy

/// Which pages an incremental holds: a count and the differences of their ascending numbers, four bytes each.
enum PageList {
  static func encode(_ pages: [UInt32]) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: 4 + 4 * pages.count) { buffer, done in
      let table = UnsafeMutableRawBufferPointer(buffer)
      table.storeBytes(of: UInt32(pages.count).bigEndian, as: UInt32.self)
      var before: UInt32 = 0
      for (index, page) in pages.enumerated() {
        table.storeBytes(of: (page - before).bigEndian, toByteOffset: 4 + 4 * index, as: UInt32.self)
        before = page
      }
      done = buffer.count
    }
  }

  /// Reads the differences (without the count).
  ///
  /// - Throws: `archiveCorrupt` where the numbers do not ascend, or leave the database.
  static func decode(_ differences: UnsafeRawBufferPointer, pageCount: UInt32, lockPage: UInt32) throws -> [UInt32] {
    var page: UInt32 = 0
    return try (0..<(differences.count / 4)).map { index in
      let step = UInt32(bigEndian: differences.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self))
      let (next, overflow) = page.addingReportingOverflow(step)
      guard step > 0, !overflow, next <= pageCount, next < .max, next != lockPage else {
        throw HoldfastError(.archiveCorrupt, "its list of pages names impossible ones")
      }
      page = next
      return next
    }
  }
}

/// How the pages of an incremental are cut: in members of at most 1 MiB, whole pages each.
struct PageCut {
  let pageSize: Int
  let count: Int

  var pagesPerChunk: Int { GzipMember.chunkSize / pageSize }
  var chunks: Int { (count + pagesPerChunk - 1) / pagesPerChunk }

  /// Positions in the list of pages.
  func positions(of chunk: Int) -> Range<Int> {
    chunk * pagesPerChunk..<min(count, (chunk + 1) * pagesPerChunk)
  }
}
