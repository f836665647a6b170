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
