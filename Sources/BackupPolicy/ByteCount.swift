/// A number of bytes as text, in binary units: `512 B`, `1.5 KiB`, `16 MiB`.
package struct ByteCount: Hashable, Sendable, CustomStringConvertible {
  package var bytes: Int64

  package init(_ bytes: Int64) {
    self.bytes = bytes
  }

  /// One decimal below ten, no decimals above; a rounded figure, not for calculations.
  package var description: String {
    guard bytes.magnitude >= 1024 else { return "\(bytes) B" }
    var unit: UInt64 = 1024
    var name = 0
    while name < Self.units.count - 1, bytes.magnitude / unit >= 1024 {
      unit *= 1024
      name += 1
    }
    let tenths = Self.rounded(bytes.magnitude, tenthsOf: unit)
    // 1023.5 KiB rounds to 1024 KiB, which is 1 MiB.
    if tenths >= 10235, name < Self.units.count - 1 { return "\(bytes < 0 ? "-" : "")1 \(Self.units[name + 1])" }
    let figure = tenths < 100 && tenths % 10 != 0 ? "\(tenths / 10).\(tenths % 10)" : "\((tenths + 5) / 10)"
    return "\(bytes < 0 ? "-" : "")\(figure) \(Self.units[name])"
  }

  private static let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]

  /// `magnitude` in tenths of a unit, rounded half up, without overflow near the largest values.
  private static func rounded(_ magnitude: UInt64, tenthsOf unit: UInt64) -> UInt64 {
    // The remainder is below 2^60, so ten times it and half a unit still fit.
    let (whole, rest) = magnitude.quotientAndRemainder(dividingBy: unit)
    return whole * 10 + (rest * 10 + unit / 2) / unit
  }
}

extension Int64 {
  /// The sum, clamped to the largest or smallest value if it would overflow: sizes come from files
  /// of untrusted origin.
  package func addingClamped(_ other: Int64) -> Int64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? (other < 0 ? .min : .max) : sum
  }

  /// The product, clamped to the largest or smallest value if it would overflow.
  package func multipliedClamped(by other: Int64) -> Int64 {
    let (product, overflow) = multipliedReportingOverflow(by: other)
    return overflow ? ((self < 0) != (other < 0) ? .min : .max) : product
  }
}
