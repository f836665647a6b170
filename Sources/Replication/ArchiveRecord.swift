import BackupEngine
import BackupPolicy

/// The facts about an archive in a target, as this host's memo has them.
enum ArchiveRecord {
  static func json(_ archive: RemoteArchive) -> JSONObject {
    let point = archive.point
    return [
      "name": .string(archive.name.text), "put": .optional(archive.put?.milliseconds),
      "proved": .bool(archive.isProved), "created": .integer(point.created.milliseconds),
      "type": .string(point.type.rawValue), "parent": .optional(point.parent?.text),
      "status": .string(point.status.rawValue), "verified": .bool(point.verified), "proven": .bool(point.proven),
      "flawed": .bool(point.isFlawed), "suspect": .bool(point.clockSuspect), "pinned": .bool(point.pinned),
      "described": .bool(point.isDescribed), "tags": .array(point.tags.map { .string($0) }),
      "anomaly": .optional(point.anomaly),
    ]
  }

  /// Returns nil for anything else than ``json(_:)``.
  static func archive(_ keys: JSONObject) -> RemoteArchive? {
    guard case .string(let text)? = keys["name"], let name = RemoteName(text) else { return nil }
    var archive = RemoteArchive(listed: name)
    guard keys["proved"] == .bool(true) else { return archive }
    guard case .integer(let created)? = keys["created"], case .string(let type)? = keys["type"],
      case .string(let statusText)? = keys["status"], let status = BackupStatus(rawValue: statusText),
      case .array(let tags)? = keys["tags"]
    else { return nil }
    func flag(_ key: String) -> Bool { keys[key] == .bool(true) }
    func word(_ key: String) -> String? { if case .string(let text)? = keys[key] { text } else { nil } }
    var point = archive.point
    (point.created, point.type) = (Timestamp(milliseconds: created), BackupType(rawValue: type))
    (point.status, point.parent) = (status, word("parent").flatMap { PointID($0) })
    (point.verified, point.proven, point.isFlawed) = (flag("verified"), flag("proven"), flag("flawed"))
    (point.clockSuspect, point.pinned) = (flag("suspect"), flag("pinned"))
    (point.isDescribed, point.anomaly) = (flag("described"), word("anomaly"))
    point.tags = tags.compactMap { if case .string(let tag) = $0 { tag } else { nil } }
    (archive.point, archive.isProved) = (point, true)
    if case .integer(let put)? = keys["put"] { archive.put = Timestamp(milliseconds: put) }
    return archive
  }
}
