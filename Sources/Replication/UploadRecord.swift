import BackupEngine
import ObjectStorage

/// The upload in parts to one target that has begun and not ended, so that another process can
/// continue it. The store itself knows which parts are there.
struct UploadRecord: Sendable {
  private let path: String
  private let files: any FileOperations

  init(path: String, files: any FileOperations) { (self.path, self.files) = (path, files) }

  /// Nil without a record, or if it is damaged: the store's own rules remove old parts.
  func load() -> UploadState? {
    guard let bytes = try? files.contents(path, limit: 1 << 16), case .object(let keys)? = JSONValue(parsing: bytes),
      case .string(let key)? = keys["key"], case .string(let id)? = keys["id"],
      case .string(let sha256)? = keys["sha256"], case .integer(let size)? = keys["size"],
      case .integer(let partSize)? = keys["part_size"]
    else { return nil }
    return UploadState(key: key, uploadID: id, sha256: sha256, size: size, partSize: partSize)
  }

  func save(_ upload: UploadState) throws {
    let keys: JSONObject = [
      "key": .string(upload.key), "id": .string(upload.uploadID), "sha256": .string(upload.sha256),
      "size": .integer(upload.size), "part_size": .integer(upload.partSize),
    ]
    try files.replace(path, with: JSONValue.object(keys).encoded())
  }

  func remove() { try? files.unlink(path) }
}
