import BackupPolicy

/// Reads a stored point's image with the bounds that its metadata gives.
struct PointReader {
  let point: StoredPoint
  let files: any FileOperations
  let credentials: Credentials
  let progress: Progress

  /// Where nothing is recorded, an image may be this many times its archive: deflate cannot do more.
  private static let largestRatio: Int64 = 1040

  func read(_ file: OpenFile, to target: some ImageTarget) throws -> ReadArchive {
    let metadata = point.metadata
    let reader = try ArchiveReader(file, name: point.name, credentials: credentials, progress: progress, files)
    if reader.head == nil && point.name.encrypted && metadata.cipher == .aes256GCM {
      throw HoldfastError(
        .archiveCorrupt, "it does not begin as an aes-256-gcm archive: it is damaged or was replaced",
        hint: "use another point")
    }
    let size = try files.size(file)
    return try reader.read(
      recordedChecksum: metadata.checksum.flatMap { [UInt8](hex: $0) },
      limit: min(metadata.originalSize ?? .max, size.multipliedClamped(by: Self.largestRatio)),
      pageSize: metadata.pageSize,
      to: target)
  }
}
