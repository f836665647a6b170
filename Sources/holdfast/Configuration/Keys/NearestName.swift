import BackupPolicy

/// The name that somebody may have meant.
enum NearestName {
  /// The nearest of `names` where it is near enough: two slips, or one in a short word; letters' case and dashes do not
  /// count.
  static func of(_ text: String, in names: some Sequence<String>) -> String? {
    let wanted = folded(text)
    let distances = names.map { (name: $0, distance: Spelling.distance(wanted, folded($0))) }
    guard let best = distances.min(by: { $0.distance < $1.distance }) else { return nil }
    let allowed = wanted.count <= 4 ? 1 : wanted.count <= 8 ? 2 : 3
    return best.distance <= allowed ? best.name : nil
  }

  private static func folded(_ text: String) -> [Character] {
    text.prefix(64).lowercased().map { $0 == "-" || $0 == " " ? "_" : $0 }
  }
}
