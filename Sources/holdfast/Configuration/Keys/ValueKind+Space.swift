import BackupPolicy

extension ValueKind {
  func freeSpace(_ raw: RawValue) throws(ValueProblem) -> SettingValue {
    let expected = "a size with a unit or a percentage, such as 500MiB, 2GiB or 5%, or none"
    if case .integer(let number) = raw {
      throw number == 0
        ? ValueProblem(raw, isNot: expected, hint: "write \"none\"")
        : ValueProblem(raw, isNot: expected, hint: "write \"\(number)MiB\", \"\(number)GiB\" or \"\(number)%\"")
    }
    let text = try string(raw, expected)
    if ["none", "0", "0%"].contains(text.lowercased()) { return .none }
    guard let space = FreeSpace(argument: text) else {
      let meant = text.filter { !$0.isWhitespace }
      let hint = FreeSpace(argument: meant) == nil ? nil : "write \(raw.spelt(meant))"
      throw ValueProblem(raw, isNot: expected, hint: hint)
    }
    return .freeSpace(space)
  }
}

extension FreeSpace {
  /// Nil for anything but a whole number from 1 and a unit: `%` up to 99, or `B`, `kB` … `TB` in powers of 1000, `K`, `KiB` …
  /// `T`, `TiB` in powers of 1024.
  init?(argument: String) {
    let digits = argument.prefix { $0.isASCII && $0.isNumber }
    guard let number = Int64(digits), number > 0 else { return nil }
    let unit = argument.dropFirst(digits.count).lowercased()
    if unit == "%" {
      guard number < 100 else { return nil }
      self = .percent(Int(number))
      return
    }
    guard let factor = Self.units[unit], number <= .max / factor else { return nil }
    self = .bytes(number * factor)
  }

  private static let units: [String: Int64] = [
    "b": 1, "k": 1 << 10, "kib": 1 << 10, "kb": 1000, "m": 1 << 20, "mib": 1 << 20, "mb": 1_000_000,
    "g": 1 << 30, "gib": 1 << 30, "gb": 1_000_000_000, "t": 1 << 40, "tib": 1 << 40, "tb": 1_000_000_000_000,
  ]
}
