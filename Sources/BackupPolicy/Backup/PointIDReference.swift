/// Finds the backup that a person names by its ID or the beginning of it.
package enum PointIDReference {
  /// - Parameters:
  ///   - ids: of the backups.
  ///   - place: follows "there is no backup ID" in a message.
  /// - Throws: `pointNotFound` if there is no such backup, `usage` if several begin so.
  package static func position(
    of reference: String, among ids: [PointID], in place: String = ""
  ) throws(HoldfastError) -> Int {
    if let exact = ids.firstIndex(where: { $0.text == reference }) { return exact }
    // A whole ID names one backup, also if that one is gone: `X` never stands for `X_001`.
    if let id = PointID(reference) { throw missing(id, from: ids, in: place) }
    let shown = reference.utf8.count > 60 ? "\(reference.prefix(40))…" : reference
    guard isBeginning(reference) else {
      throw HoldfastError(
        .pointNotFound, "\(quoted(shown)) is not the ID of a backup",
        hint: "IDs look like backup_20231116_143022; --at accepts a time; holdfast list shows the IDs")
    }
    let matches = ids.indices.filter { ids[$0].text.hasPrefix(reference) }
    guard let match = matches.first else {
      throw HoldfastError(
        .pointNotFound, "there is no backup \(shown)\(place)", hint: "holdfast list shows the existing backups")
    }
    guard matches.count == 1 else {
      throw HoldfastError(
        .usage, "\(shown) matches \(matches.count) backups", hint: "write more of the ID; holdfast list shows them")
    }
    return match
  }

  /// Only the beginning of an ID is looked up, so a reference never names a path.
  private static func isBeginning(_ reference: String) -> Bool {
    !reference.isEmpty && reference.utf8.count <= 40
      && ("backup_".hasPrefix(reference) || reference.hasPrefix("backup_"))
      && reference.utf8.dropFirst(7).allSatisfy { (48...57).contains($0) || $0 == UInt8(ascii: "_") }
  }

  private static func missing(_ id: PointID, from ids: [PointID], in place: String) -> HoldfastError {
    func distance(_ other: PointID) -> UInt64 { (other.second.milliseconds - id.second.milliseconds).magnitude }
    let nearest = ids.min { distance($0) < distance($1) }
    let advice = nearest.map { "the nearest one is \($0); " } ?? ""
    return HoldfastError(
      .pointNotFound, "there is no backup \(id)\(place)", hint: "\(advice)holdfast list shows the existing backups")
  }

  private static func quoted(_ text: String) -> String {
    "\"" + text.unicodeScalars.map { $0.value < 32 || $0.value == 127 ? "?" : String($0) }.joined() + "\""
  }
}
