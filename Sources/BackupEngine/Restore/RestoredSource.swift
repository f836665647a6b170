import SQLitePages

/// A database in which those bytes of page 1 are put back that SQLite changed when an image was
/// installed. If it still differs from the image, the difference was written after the restore.
struct RestoredSource: ImageSource {
  let base: SnapshotSource
  /// In the order of ``LiveInstall/rewrittenBytes``.
  let original: [UInt8]

  var pageSize: Int { base.pageSize }
  var pageCount: UInt32 { base.pageCount }
  var imageSize: Int64 { base.imageSize }

  func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws {
    try base.read(at: offset, into: buffer)
    guard offset == 0 else { return }
    for (index, byte) in zip(LiveInstall.rewrittenBytes.joined(), original) { buffer[index] = byte }
  }
}
