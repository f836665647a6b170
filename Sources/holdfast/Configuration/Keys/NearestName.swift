/// The name that somebody may have meant.
enum NearestName {
  /// The nearest of `names` where it is near enough: two slips, or one in a short word; letters' case and dashes do not
  /// count.
  static func of(_ text: String, in names: some Sequence<String>) -> String? {
    let wanted = folded(text)
    let distances = names.map { (name: $0, distance: distance(wanted, folded($0))) }
    guard let best = distances.min(by: { $0.distance < $1.distance }) else { return nil }
    let allowed = wanted.count <= 4 ? 1 : wanted.count <= 8 ? 2 : 3
    return best.distance <= allowed ? best.name : nil
  }

  private static func folded(_ text: String) -> [Character] {
    text.prefix(64).lowercased().map { $0 == "-" || $0 == " " ? "_" : $0 }
  }

  /// Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment; Damerau 1964).
  static func distance(_ left: [Character], _ right: [Character]) -> Int {
    var before: [Int] = []
    var row = Array(0...right.count)
    for (i, character) in left.enumerated() {
      var next = [i + 1]
      for (j, other) in right.enumerated() {
        var cost = min(row[j + 1] + 1, next[j] + 1, row[j] + (character == other ? 0 : 1))
        if i > 0, j > 0, character == right[j - 1], left[i - 1] == other { cost = min(cost, before[j - 1] + 1) }
        next.append(cost)
      }
      (before, row) = (row, next)
    }
    return row[right.count]
  }
}
