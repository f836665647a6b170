import BackupPolicy

/// An open archive that is copied elsewhere. Later removals and replacements do not change it. The
/// last reference closes it.
package final class ShippedArchive: Sendable {
  package let name: ArchiveName
  package let sequence: Int64
  /// The backup that it needs; nil for a full.
  package let parent: PointID?
  package let bytes: Int64
  /// 32 bytes.
  package let sha256: [UInt8]
  /// The record of a backup whose archive does not contain it; nil for the others.
  package let metadata: [UInt8]?
  private let file: OpenFile
  private let files: any FileOperations

  package var descriptor: Int32 { file.descriptor }

  init(_ metadata: PointMetadata, _ name: ArchiveName, _ file: OpenFile, _ files: any FileOperations) throws {
    (self.name, self.file, self.files) = (name, file, files)
    sequence = Int64(clamping: metadata.sequence ?? 0)
    parent = metadata.parentID
    bytes = try files.size(file)
    sha256 = try metadata.checksum.flatMap { [UInt8](hex: $0) } ?? HashingFileReader(file, files).finish()
    let isSelfContained = metadata.cipher == .aes256GCM || metadata.kind == .incremental
    self.metadata = isSelfContained ? nil : metadata.json.encoded()
  }

  deinit { files.close(file) }
}
