import Names

/// The rules for keys that hold in each store: 1 to 1,024 bytes, parts that are neither empty nor
/// `.` or `..`, no NUL, and no part with the prefix of the temporary files of ``FolderStore``.
///
/// The limit of 1,024 bytes is S3's: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
package enum ObjectKey {
  /// How names of temporary files begin in a folder.
  package static let temporaryPrefix = ".holdfast-"

  /// The parts of a key. Throws `invalid` if it breaks a rule.
  package static func parts(_ key: String) throws(StoreError) -> [String] {
    let bytes = key.pathBytes
    let parts = bytes.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    let names = parts.map { part in part.withUnsafeBytes { String(pathBytes: $0) } }
    if let reason = fault(bytes, names) {
      throw StoreError(.invalid, "the name \(key.printable) is not usable for an object: \(reason)")
    }
    return names
  }

  /// Whether a key breaks no rule.
  package static func isUsable(_ key: String) -> Bool { (try? parts(key)) != nil }

  private static func fault(_ bytes: [UInt8], _ names: [String]) -> String? {
    if bytes.isEmpty { return "it is empty" }
    if bytes.count > 1024 { return "it has more than 1,024 bytes" }
    if bytes.contains(0) { return "it contains NUL" }
    if names.contains(where: { $0.isEmpty }) { return "a part of it is empty" }
    if names.contains(where: { $0 == "." || $0 == ".." }) { return "a part of it is . or .." }
    if names.contains(where: { $0.hasPrefix(temporaryPrefix) }) { return "a part begins with \(temporaryPrefix)" }
    return nil
  }
}
