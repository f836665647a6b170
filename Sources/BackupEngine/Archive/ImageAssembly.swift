import BackupPolicy

/// The destination of an image's bytes. Called from several threads, with ranges that do not
/// overlap.
protocol ImageTarget: Sendable {
  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws
}

/// A staging file.
struct FileTarget: ImageTarget {
  let file: OpenFile
  let files: any FileOperations

  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws {
    try files.write(file, bytes, at: offset)
  }
}

/// No destination: the image is only verified.
struct NoTarget: ImageTarget {
  func write(_: UnsafeRawBufferPointer, at _: Int64) throws {}
}

/// Joins the pieces of an image: bounds, page size, digest, target. Safe from several threads.
final class ImageAssembly: Sendable {
  private let target: any ImageTarget
  private let secret: PageDigest.Secret
  private let limit: Int64
  private let sum = SharedDigest()
  private let monitor = Monitor()
  // All guarded by `monitor`.
  private nonisolated(unsafe) var size: Int64 = 0
  private nonisolated(unsafe) var received: Int64 = 0
  private nonisolated(unsafe) var knownPageSize: Int?
  private nonisolated(unsafe) var startsAsDatabase = true

  init(_ target: any ImageTarget, pageSize: Int?, secret: PageDigest.Secret, limit: Int64) {
    self.target = target
    self.secret = secret
    self.limit = limit
    knownPageSize = pageSize.flatMap { ArchiveHeader.isPageSize(UInt32(clamping: $0)) && $0 > 0 ? $0 : nil }
  }

  var imageSize: Int64 { monitor.locked { size } }
  var pageSize: Int? { monitor.locked { knownPageSize } }

  /// Whether every byte up to the end was received: a short piece in the middle leaves a hole.
  var isWhole: Bool { monitor.locked { size == received } }

  /// False if the first bytes are not those of an SQLite database. An empty image counts as a
  /// database.
  var looksLikeDatabase: Bool { monitor.locked { startsAsDatabase } }

  var digest: [UInt8]? {
    let (size, pageSize) = monitor.locked { (self.size, knownPageSize) }
    guard size > 0 else { return PageDigest().finished(pageSize: 0, pageCount: 0) }
    guard let pageSize, size.isMultiple(of: Int64(pageSize)) else { return nil }
    return sum.value.finished(pageSize: pageSize, pageCount: UInt32(clamping: size / Int64(pageSize)))
  }

  /// Adds a piece that starts at a multiple of 1 MiB, or any whole-page piece of a single-threaded
  /// reader.
  func add(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws {
    guard !bytes.isEmpty else { return }
    guard offset + Int64(bytes.count) <= limit else {
      throw HoldfastError(
        .archiveCorrupt, "it decompresses to more than the expected \(limit) bytes",
        hint: "do not trust this archive: it may be designed to fill the disk", cause: ArchiveStage.decompression)
    }
    if offset == 0 { examineStart(bytes) }
    try target.write(bytes, at: offset)
    let pageSize = monitor.locked {
      size = max(size, offset + Int64(bytes.count))
      received += Int64(bytes.count)
      return knownPageSize
    }
    guard let pageSize else { return }
    var part = PageDigest()
    part.add(
      bytes, first: UInt32(clamping: offset / Int64(pageSize)) + 1, pageSize: pageSize,
      lockPage: PageShape.lockPage(pageSize: pageSize), secret: secret)
    sum.add(part)
  }

  /// SQLite's header: its name, then at offset 16 the page size, big-endian, 1 meaning 65536.
  private func examineStart(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count >= 100, bytes.starts(with: Array("SQLite format 3".utf8) + [0]) else {
      monitor.locked { startsAsDatabase = false }
      return
    }
    let raw = UInt32(bytes[16]) << 8 | UInt32(bytes[17])
    let size = raw == 1 ? 65536 : raw
    monitor.locked {
      if knownPageSize == nil, size > 0, ArchiveHeader.isPageSize(size) { knownPageSize = Int(size) }
    }
  }
}
