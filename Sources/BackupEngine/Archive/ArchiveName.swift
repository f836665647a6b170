import BackupPolicy

/// What an archive's file name says: `backup_20231116_143022.db.gz.enc`.
package struct ArchiveName: Hashable, Sendable {
  package var id: PointID
  package var compressed: Bool
  package var encrypted: Bool

  package init(id: PointID, compressed: Bool, encrypted: Bool) {
    self.id = id
    self.compressed = compressed
    self.encrypted = encrypted
  }

  /// Reads a file name; nil for anything that is not the archive of a full.
  package init?(_ name: String) {
    guard let dot = name.firstIndex(of: "."), let id = PointID(String(name[..<dot])) else { return nil }
    switch name[dot...] {
    case ".db": self.init(id: id, compressed: false, encrypted: false)
    case ".db.gz": self.init(id: id, compressed: true, encrypted: false)
    case ".db.enc": self.init(id: id, compressed: false, encrypted: true)
    case ".db.gz.enc": self.init(id: id, compressed: true, encrypted: true)
    default: return nil
    }
  }

  package var text: String {
    "\(id).db" + (compressed ? ".gz" : "") + (encrypted ? ".enc" : "")
  }
}

/// How an archive is encrypted; the raw values stand in the metadata.
package enum ArchiveCipher: String, Sendable, Codable, CaseIterable {
  /// The default: authenticated, bound to its repository and point.
  case aes256GCM = "aes-256-gcm"
  /// The original Python service's format, which cannot tell tampering.
  case aes256CBC = "aes-256-cbc"
}
