/// The parts of an archive's file name, such as `backup_20231116_143022.db.gz.enc`.
package struct ArchiveName: Hashable, Sendable {
  /// The kind of payload.
  package enum Content: String, Sendable {
    /// A database image.
    case database = ".db"
    /// The pages that changed since another backup.
    case pages = ".pages"
    /// A tar of a damaged database's files as they were found.
    case raw = ".tar"
  }

  package var id: PointID
  package var content = Content.database
  package var compressed: Bool
  package var encrypted: Bool

  package init(id: PointID, content: Content = .database, compressed: Bool, encrypted: Bool) {
    self.id = id
    self.content = content
    self.compressed = compressed
    self.encrypted = encrypted
  }

  /// Reads a file name; returns nil if it is not the name of an archive.
  package init?(_ name: String) {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count >= 2, let id = PointID(String(parts[0])), let content = Content(rawValue: ".\(parts[1])") else {
      return nil
    }
    switch parts.dropFirst(2) {
    case []: self.init(id: id, content: content, compressed: false, encrypted: false)
    case ["gz"]: self.init(id: id, content: content, compressed: true, encrypted: false)
    case ["enc"]: self.init(id: id, content: content, compressed: false, encrypted: true)
    case ["gz", "enc"]: self.init(id: id, content: content, compressed: true, encrypted: true)
    default: return nil
    }
  }

  package var text: String {
    "\(id)\(content.rawValue)" + (compressed ? ".gz" : "") + (encrypted ? ".enc" : "")
  }
}
