import BackupPolicy

// What to keep: numbers, spans of the calendar, tags.
extension ValueKind {
  /// 0 is none, as it is to restic; -1 is its word for all.
  func quota(_ raw: RawValue) throws(ValueProblem) -> SettingValue {
    switch raw {
    case .untyped("none"), .string("none"), .untyped("0"), .integer(0): return .none
    case .untyped("all"), .string("all"), .untyped("unlimited"), .string("unlimited"), .untyped("-1"), .integer(-1):
      return .integer(-1)
    default: return .integer(try number(raw, in: 1...Int(Int32.max), KeepRule.Form.quota.inWords))
    }
  }

  func span(_ raw: RawValue) throws(ValueProblem) -> SettingValue {
    let expected = KeepRule.Form.span.inWords
    if raw == .string("none") || raw == .untyped("none") { return .none }
    if case .integer(let number) = raw {
      throw ValueProblem(raw, isNot: expected, hint: "write \"\(number)d\" for days or \"\(number)m\" for months")
    }
    guard let span = CalendarSpan(try string(raw, expected)) else { throw ValueProblem(raw, isNot: expected) }
    return span.isZero ? .none : .span(span)
  }

  /// An empty list stands for points without tags.
  func tagLists(_ raw: RawValue) throws(ValueProblem) -> SettingValue {
    switch raw {
    case .untyped("none"), .string("none"): return .none
    case .string(let text): return .tagLists([Self.tags(text)])
    case .untyped(let text):
      return .tagLists(text.split(separator: ";", omittingEmptySubsequences: false).map { Self.tags(String($0)) })
    case .list(let items):
      var lists: [[String]] = []
      for item in items {
        guard case .string(let text) = item.value else {
          var problem = ValueProblem(item.value, isNot: KeepRule.Form.tags.inWords)
          problem.position = item.position
          throw problem
        }
        lists.append(Self.tags(text))
      }
      return lists.isEmpty ? .none : .tagLists(lists)
    default: throw ValueProblem(raw, isNot: KeepRule.Form.tags.inWords, hint: "write it in quotes")
    }
  }

  private static func tags(_ text: String) -> [String] {
    text.split(separator: ",").map { String($0).trimmed }.filter { !$0.isEmpty }
  }
}

extension StringProtocol {
  /// Without white space at both ends.
  var trimmed: String {
    let start = drop { $0.isWhitespace }
    let end = start.lastIndex { !$0.isWhitespace }
    return end.map { String(start[...$0]) } ?? ""
  }
}
