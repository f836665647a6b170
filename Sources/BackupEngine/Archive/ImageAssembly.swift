import BackupPolicy

/// Where the bytes of an image go. Called from several threads, with ranges that do not overlap.
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

/// Nowhere: the image is only proved.
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

  init(_ target: any ImageTarget, pageSize: Int?, secret: PageDigest.Secret, limit: Int64) {
    self.target = target
    self.secret = secret
    self.limit = limit
    knownPageSize = pageSize.flatMap { ArchiveHeader.isPageSize(UInt32(clamping: $0)) && $0 > 0 ? $0 : nil }
  }

  var imageSize: Int64 { monitor.locked { size } }
  var pageSize: Int? { monitor.locked { knownPageSize } }

  /// Whether every byte up to the end came: a short piece in the middle leaves a hole.
  var isWhole: Bool { monitor.locked { size == received } }

  var digest: [UInt8]? {
    let (size, pageSize) = monitor.locked { (self.size, knownPageSize) }
    guard size > 0 else { return PageDigest().finished(pageSize: 0, pageCount: 0) }
    guard let pageSize, size.isMultiple(of: Int64(pageSize)) else { return nil }
    return sum.value.finished(pageSize: pageSize, pageCount: UInt32(clamping: size / Int64(pageSize)))
  }

  /// Takes a piece that starts at a multiple of 1 MiB, or any piece of a single-threaded reader's whole-page cuts.
  func add(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws {
    guard !bytes.isEmpty else { return }
    guard offset + Int64(bytes.count) <= limit else {
      throw HoldfastError(
        .archiveCorrupt, "it decompresses to more than the \(limit) bytes that it should hold",
        hint: "do not trust this archive: it may be made to fill the disk")
    }
    if offset == 0 { findPageSize(bytes) }
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

  /// SQLite's header has the page size at offset 16, big-endian, 1 meaning 65536.
  private func findPageSize(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count >= 100 else { return }
    let raw = UInt32(bytes[16]) << 8 | UInt32(bytes[17])
    let size = raw == 1 ? 65536 : raw
    monitor.locked {
      if knownPageSize == nil, size > 0, ArchiveHeader.isPageSize(size) { knownPageSize = Int(size) }
    }
  }
}
