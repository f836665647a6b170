extension BinaryInteger {
  /// With a comma between groups of three digits: `1,234`.
  var grouped: String {
    let digits = Array(String(magnitude))
    let groups = stride(from: digits.count % 3 - 3, to: digits.count, by: 3).map {
      String(digits[Swift.max(0, $0)..<Swift.max(0, $0 + 3)])
    }
    return (self < 0 ? "-" : "") + groups.filter { !$0.isEmpty }.joined(separator: ",")
  }
}

extension Double {
  /// A share as a percentage with one decimal: `35.2%`.
  var percentage: String {
    let tenths = Int64(clamping: self * 1000)
    return "\(tenths / 10).\(tenths % 10)%"
  }
}

extension Int64 {
  fileprivate init(clamping value: Double) {
    self = value.isNaN ? 0 : value >= 9e18 ? .max : value <= 0 ? 0 : Int64(value.rounded())
  }
}

extension String {
  /// With control characters spelt out: what comes from a repository must not move a terminal's cursor, and a field is one line.
  var printable: String {
    guard unicodeScalars.contains(where: \.isControl) else { return self }
    return unicodeScalars.map { scalar in
      switch scalar {
      case "\n": "\\n"
      case "\t": "\\t"
      case _ where scalar.isControl: "\\u{\(String(scalar.value, radix: 16))}"
      default: String(scalar)
      }
    }.joined()
  }
}

extension Unicode.Scalar {
  fileprivate var isControl: Bool {
    switch properties.generalCategory {
    case .control, .lineSeparator, .paragraphSeparator: true
    // Of the formats, the changes of writing direction deceive; the joiners are parts of letters and emoji.
    case .format: value != 0x200C && value != 0x200D
    default: false
    }
  }
}
