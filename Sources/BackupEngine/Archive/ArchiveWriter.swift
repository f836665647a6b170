import BackupPolicy
import Names
import SQLitePages

/// What an archive turned out to be.
struct WrittenArchive: Sendable {
  /// Bytes of the archive file.
  var size: Int64
  /// SHA-256 of the archive file.
  var checksum: [UInt8]
  /// ``PageDigest`` of the image.
  var digest: [UInt8]
  /// Rows of each table; nil as a whole where they were not counted.
  var tableCounts: [Identifier: Int64?]?
}

/// Turns an image into an archive's payload: read, hash, compress on every core, then encrypt and write in order.
final class ArchiveWriter: Sendable {
  private let source: any ImageSource
  private let level: CompressionLevel?
  private let secret: PageDigest.Secret
  private let progress: Progress
  private let tableRoots: [Identifier: UInt32]
  private let census: RowCensus?
  private let table: PageDigestsWriter?

  /// - Parameters:
  ///   - level: nil stores the image as it is.
  ///   - tableRoots: tables whose rows are to be counted.
  ///   - table: gets the hash of every page.
  init(
    _ source: any ImageSource, level: CompressionLevel?, secret: PageDigest.Secret, tableRoots: [Identifier: UInt32],
    table: PageDigestsWriter? = nil, progress: Progress
  ) {
    self.table = table
    self.tableRoots = tableRoots
    census = RowCensus(pageSize: source.pageSize, pageCount: source.pageCount)
    self.source = source
    self.level = level
    self.secret = secret
    self.progress = progress
  }

  /// Writes the whole payload and the trailer; the file is not synced yet.
  func write(to sink: any PayloadSink, file: HashingFileWriter, digestKey: [UInt8]) throws -> WrittenArchive {
    let order = OrderedOutput(sink, slots: Workers.count + 1)
    let digest = SharedDigest()
    let chunks = max(1, Int((source.imageSize + Int64(GzipMember.chunkSize) - 1) / Int64(GzipMember.chunkSize)))
    try Workers.run(min(chunks, Workers.count)) { [self] _ in
      do {
        let encoder = try level.map { try GzipMemberEncoder(level: $0) }
        while let slot = try order.claim(below: chunks, read) {
          digest.add(hash(slot.pages, first: first(of: slot.chunk)))
          census?.add(slot.pages, first: first(of: slot.chunk))
          try slot.encode(encoder)
          try order.emit(slot)
          try progress.update("backing up", Int64(slot.chunk + 1) * Int64(GzipMember.chunkSize), of: source.imageSize)
        }
      } catch {
        order.cancel()
        throw error
      }
    }
    let sum = digest.value.finished(pageSize: source.pageSize, pageCount: source.pageCount)
    let counts = tableCounts()
    try sink.finish(trailer(order, digest: sum, digestKey: digestKey, counts))
    return WrittenArchive(size: file.size, checksum: try file.finish(), digest: sum, tableCounts: counts)
  }

  private func hash(_ pages: UnsafeRawBufferPointer, first: UInt32) -> PageDigest {
    var part = PageDigest()
    guard source.pageSize > 0 else { return part }
    if let table { return table.add(pages, first: first, secret: secret) }
    part.add(pages, first: first, pageSize: source.pageSize, lockPage: source.lockPage, secret: secret)
    return part
  }

  private func tableCounts() -> [Identifier: Int64?]? {
    guard let census else { return tableRoots.isEmpty && source.imageSize == 0 ? [:] : nil }
    let counted = census.counts(tableRoots)
    return Dictionary(uniqueKeysWithValues: tableRoots.keys.map { ($0, counted[$0]) })
  }

  private func trailer(
    _ order: OrderedOutput, digest: [UInt8], digestKey: [UInt8], _ counts: [Identifier: Int64?]?
  ) -> ArchiveTrailer {
    ArchiveTrailer(
      imageSize: UInt64(source.imageSize), payloadSize: order.written, pageCount: source.pageCount, digest: digest,
      digestKey: digestKey, memberStride: order.index.stride, memberOffsets: order.index.offsets,
      tableCounts: counts)
  }

  private func first(of chunk: Int) -> UInt32 {
    source.pageSize == 0 ? 1 : UInt32(Int64(chunk) * Int64(GzipMember.chunkSize) / Int64(source.pageSize)) + 1
  }

  private func read(_ slot: ChunkSlot) throws {
    let offset = Int64(slot.chunk) * Int64(GzipMember.chunkSize)
    slot.count = Int(min(Int64(GzipMember.chunkSize), source.imageSize - offset))
    if slot.count > 0 { try source.read(at: offset, into: slot.room) }
  }
}

/// A digest that several threads add to.
final class SharedDigest: Sendable {
  private let monitor = Monitor()
  // Guarded by `monitor`.
  private nonisolated(unsafe) var sum = PageDigest()

  var value: PageDigest { monitor.locked { sum } }

  func add(_ part: PageDigest) {
    monitor.locked { sum.combine(part) }
  }
}
