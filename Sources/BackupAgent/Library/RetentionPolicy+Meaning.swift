import BackupPolicy

extension RetentionPolicy {
  /// Refuses the values that a configuration file may not have either, with the same words and this
  /// property's name.
  ///
  /// - Throws: `usage`.
  func requireMeant() throws {
    for form in [KeepRule.Form.count, .quota, .span] {
      for rule in rules.list where rule.kind.form == form { try rule.requireMeant() }
    }
    for (name, duration) in [("anomalyHold", anomalyHold), ("safetyGrace", safetyGrace)] where duration < .zero {
      throw HoldfastError(.usage, "\(name) is \(duration), which is too short", hint: "use at least 0 seconds")
    }
    guard let minFreeSpace, !minFreeSpace.isMeant else { return }
    throw HoldfastError(
      .usage, "minFreeSpace is \(minFreeSpace), which is not a valid amount of space",
      hint: "use 1 to 99 percent, or some bytes")
  }

}

extension KeepRule {
  fileprivate func requireMeant() throws {
    switch amount {
    case .count(let count) where kind.form == .count && count < 1: throw problem(hint: "leave it nil for no rule")
    case .count(let count) where count < -1: throw problem(hint: "use -1 for all, nil for none")
    case .span(let span) where span.hasNegativePart: throw problem(hint: "use no negative part")
    case .count, .span, .tags: break
    }
  }

  private func problem(hint: String) -> HoldfastError {
    HoldfastError(.usage, "\(kind.property) is \(amount.text), which is not \(kind.form.inWords)", hint: hint)
  }
}

extension CalendarSpan {
  fileprivate var hasNegativePart: Bool {
    years < 0 || months < 0 || days < 0 || time < .zero
  }
}

extension FreeSpace {
  fileprivate var isMeant: Bool {
    switch self {
    case .bytes(let bytes): bytes > 0
    case .percent(let percent): (1...99).contains(percent)
    }
  }
}
