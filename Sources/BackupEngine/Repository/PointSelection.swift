import BackupPolicy

extension Repository {
  /// The point that a person names: a full ID, a unique prefix, or `latest`.
  ///
  /// - Throws: `pointNotFound` where there is none, `usage` where a prefix fits several.
  package func point(_ reference: String) throws -> StoredPoint {
    if let id = PointID(reference), let point = try stored(id) { return point }
    return try Self.select(reference, from: try points())
  }

  static func select(_ reference: String, from points: [StoredPoint]) throws -> StoredPoint {
    if reference == "latest" { return try latest(points) }
    let shown = reference.utf8.count > 60 ? "\(reference.prefix(40))…" : reference
    if let point = points.first(where: { $0.id.text == reference }) { return point }
    // Only what could begin an ID is looked up, so a reference never names a path.
    let wellFormed = reference.utf8.count <= 40 && ("backup_".hasPrefix(reference) || reference.hasPrefix("backup_"))
    guard !reference.isEmpty, wellFormed,
      reference.utf8.dropFirst(7).allSatisfy({ (48...57).contains($0) || $0 == UInt8(ascii: "_") })
    else {
      throw HoldfastError(
        .pointNotFound, "\(quoted(shown)) is not the ID of a backup",
        hint: "IDs look like backup_20231116_143022, and --at takes a time; holdfast list shows them")
    }
    let matches = points.filter { $0.id.text.hasPrefix(reference) }
    guard let match = matches.first else {
      throw HoldfastError(.pointNotFound, "there is no backup \(shown)", hint: "holdfast list shows what there is")
    }
    guard matches.count == 1 else {
      throw HoldfastError(
        .usage, "\(shown) fits \(matches.count) backups", hint: "write more of the ID; holdfast list shows them")
    }
    return match
  }

  private static func latest(_ points: [StoredPoint]) throws -> StoredPoint {
    guard let point = points.last(where: { $0.obstacle == nil }) else {
      throw HoldfastError.noSoundPoint(of: points.count)
    }
    return point
  }

  private static func quoted(_ text: String) -> String {
    "\"" + text.unicodeScalars.map { $0.value < 32 || $0.value == 127 ? "?" : String($0) }.joined() + "\""
  }
}

extension StoredPoint {
  /// Why neither `latest` nor a time ever means it, in words; nil for a sound point of the database's own history, which is
  /// not what a restore put aside.
  var obstacle: String? {
    if let brokenLink { return "it needs \(brokenLink.id), and \(brokenLink.reason)" }
    if !isAuthenticated { return "it is not authenticated" }
    if metadata.status == .failed { return (problems + metadata.verificationErrors).first ?? "it failed" }
    if name.content == .raw { return "it is a copy of damaged files" }
    if metadata.backupType == BackupType.safety.rawValue { return "it is a safety backup" }
    return nil
  }
}
