import BackupEngine
import BackupPolicy

/// The values that a setting may have.
enum ValueKind: Hashable, Sendable {
  case boolean
  /// A whole number of at least 1, or `none`.
  case count
  /// A whole number of at least 1, `all` (-1), or `none` (0).
  case quota
  /// Years, months, days and less; `none`.
  case span
  /// Lists of tags; `none`.
  case tagLists
  /// 1…9.
  case level
  /// Milliseconds.
  case time(atLeast: Int64)
  /// Bytes with a unit, or a percentage; `none` for never.
  case freeSpace
  case choice([String])
  case text
  case path
  case folder
  case database
  case schedules
  case zone
  case quietHours
  /// The name of a target.
  case label
  /// The URL of a store, or the path of a folder; `none`.
  case storeAddress
  /// Bytes a second, with a unit; `none`.
  case rate
  /// A class of objects that can be read at once.
  case storageClass
  /// The URL of an HTTP proxy.
  case proxy
  /// The URL of a mail server or of a receiver of messages.
  case channelAddress
  case webAddress
  case mailAddresses
  /// A program and its arguments.
  case arguments
  /// Hours and minutes.
  case timeOfDay
}

/// A value that fits.
enum SettingValue: Hashable, Sendable {
  case boolean(Bool)
  case integer(Int)
  case milliseconds(Int64)
  case freeSpace(FreeSpace)
  /// Bytes a second.
  case rate(Int64)
  case span(CalendarSpan)
  case tagLists([[String]])
  case text(String)
  case texts([String])
  case schedules([CronSchedule])
  case zone(ZoneRules)
  case quietHours(QuietHours)
  /// `none`: as if no lower layer set a value.
  case none
}

extension ValueKind {
  /// The amount of a rule of retention.
  init(_ form: KeepRule.Form) {
    self =
      switch form {
      case .count: .count
      case .quota: .quota
      case .span: .span
      case .tags: .tagLists
      }
  }

  /// Reads a value.
  ///
  /// - Throws: also for a value in quotes that the reader of an env file should have removed.
  func read(_ raw: RawValue) throws(ValueProblem) -> SettingValue {
    if case .untyped(let text) = raw, text.isQuoted { throw ValueProblem.quotes }
    return switch self {
    case .boolean: try boolean(raw)
    case .count: try count(raw)
    case .quota: try quota(raw)
    case .span: try span(raw)
    case .tagLists: try tagLists(raw)
    case .level: try level(raw)
    case .time(let least): try time(raw, atLeast: least)
    case .freeSpace: try freeSpace(raw)
    case .choice(let words): try choice(raw, of: words)
    case .text: .text(try string(raw, "text"))
    case .path: .text(try path(raw, "a file"))
    case .folder: .text(try path(raw, "a folder"))
    case .database: .text(try path(raw, "a database"))
    case .schedules: try schedules(raw)
    case .zone: try zone(raw)
    case .quietHours: try quietHours(raw)
    case .label: .text(try label(raw))
    case .storeAddress: try storeAddress(raw)
    case .rate: try rate(raw)
    case .storageClass: .text(try storageClass(raw))
    case .proxy: .text(try proxy(raw))
    case .channelAddress: .text(try channelAddress(raw))
    case .webAddress: .text(try webAddress(raw))
    case .mailAddresses: .texts(try mailAddresses(raw))
    case .arguments: .texts(try arguments(raw))
    case .timeOfDay: .text(try timeOfDay(raw))
    }
  }

  private func boolean(_ raw: RawValue) throws(ValueProblem) -> SettingValue {
    switch raw {
    case .boolean(let value): return .boolean(value)
    case .untyped(let text):
      switch text.lowercased() {
      case "true", "yes", "on", "1": return .boolean(true)
      case "false", "no", "off", "0": return .boolean(false)
      default: throw ValueProblem(raw, isNot: "true or false (also yes, no, on, off, 1, 0)")
      }
    case .string(let text):
      let word = Self.booleanWords[text.lowercased()]
      throw ValueProblem(raw, isNot: "true or false", hint: "write \(word ?? "true or false"), without quotes")
    case .integer(let number) where number == 0 || number == 1:
      throw ValueProblem(raw, isNot: "true or false", hint: "write \(number == 1)")
    default: throw ValueProblem(raw, isNot: "true or false")
    }
  }

  private static let booleanWords = [
    "true": "true", "yes": "true", "on": "true", "false": "false", "no": "false", "off": "false",
  ]

  private func count(_ raw: RawValue) throws(ValueProblem) -> SettingValue {
    if case .untyped("none") = raw { return .none }
    if case .string("none") = raw { return .none }
    return .integer(try number(raw, in: 1...Int(Int32.max), KeepRule.Form.count.inWords))
  }

  private func level(_ raw: RawValue) throws(ValueProblem) -> SettingValue {
    do throws(ValueProblem) {
      return .integer(try number(raw, in: 1...9, "a level from 1 (fast) to 9 (small)"))
    } catch {
      var problem = error
      if case .untyped(let text) = raw, Int(text) != nil { problem.problemOfFlag = "\(text) is out of range" }
      throw problem
    }
  }

  func number(_ raw: RawValue, in range: ClosedRange<Int>, _ expected: String) throws(ValueProblem) -> Int {
    switch raw {
    case .integer(let value) where range.contains(Int(value)): return Int(value)
    case .untyped(let text):
      if let value = Int(text), range.contains(value) { return value }
    case .string(let text):
      if let value = Int(text), range.contains(value) {
        throw ValueProblem(raw, isNot: expected, hint: "write \(value), without quotes")
      }
    default: break
    }
    throw ValueProblem(raw, isNot: expected)
  }

  private func time(_ raw: RawValue, atLeast least: Int64) throws(ValueProblem) -> SettingValue {
    let expected = "a time with a unit, such as 500ms, 5s, 2min or 1h"
    if case .integer(let number) = raw {
      throw ValueProblem(raw, isNot: expected, hint: "write \"\(number)ms\", \"\(number)s\" or \"\(number)min\"")
    }
    let text = try string(raw, expected)
    guard let span = TimeSpan(argument: text) else {
      let hint = TimeSpan.meant(by: text).map { "write \(raw.spelt($0))" }
      throw ValueProblem(raw, isNot: expected, hint: hint)
    }
    guard span.milliseconds >= least else {
      throw ValueProblem(problem: "is \(raw.quoted), which is too short", hint: "use at least \(least)ms")
    }
    return .milliseconds(span.milliseconds)
  }

  private func choice(_ raw: RawValue, of words: [String]) throws(ValueProblem) -> SettingValue {
    let list = words.dropLast().joined(separator: ", ") + " or " + (words.last ?? "")
    let text = try string(raw, list)
    if words.contains(text) { return .text(text) }
    let synonym = Self.synonyms[text.lowercased()].flatMap { words.contains($0) ? $0 : nil }
    let meant = synonym ?? NearestName.of(text, in: words)
    throw ValueProblem(raw, isNot: list, hint: meant.map { "write \(raw.spelt($0))" })
  }

  /// The names of choices in other programs.
  private static let synonyms = [
    "warn": "warning", "err": "error", "fatal": "critical", "verbose": "debug", "all": "trace", "both": "hybrid",
    "cron": "schedule", "scheduled": "schedule", "changes": "change", "watch": "change", "gcm": "aes-256-gcm",
    "aes-gcm": "aes-256-gcm", "aes256": "aes-256-gcm", "aes-256": "aes-256-gcm", "cbc": "aes-256-cbc",
  ]

  /// Text that is not empty.
  func string(_ raw: RawValue, _ expected: String) throws(ValueProblem) -> String {
    switch raw {
    case .untyped(let text), .string(let text):
      guard text.isEmpty else { return text }
      throw ValueProblem(problem: "is empty", hint: "write \(expected), or omit it")
    default: throw ValueProblem(raw, isNot: expected, hint: "write \(expected), in quotes")
    }
  }

  /// A path without shell syntax.
  private func path(_ raw: RawValue, _ what: String) throws(ValueProblem) -> String {
    if raw == .untyped("") || raw == .string("") {
      throw ValueProblem(problem: "is empty", hint: "name \(what), or omit it")
    }
    let text = try string(raw, "the path of \(what)")
    guard !text.utf8.contains(0) else {
      throw ValueProblem(problem: "contains a NUL character", hint: "name \(what)")
    }
    let afterDollar = text.hasPrefix("$") ? text.dropFirst().first : nil
    if text.contains("${") || afterDollar?.isLetter == true || afterDollar == "_" {
      throw ValueProblem(
        problem: "is \(raw.quoted), but variables are not replaced here",
        hint: "write the path itself, or ./\(text.shortened) if that is its name")
    }
    return text
  }
}

// Schedules, zones and hours, which have their own readers.
extension ValueKind {
  func schedules(_ raw: RawValue) throws(ValueProblem) -> SettingValue {
    switch raw {
    case .string("none"), .untyped("none"): return .none
    case .string(let text): return .schedules([try schedule(text)])
    case .untyped(let text):
      var schedules: [CronSchedule] = []
      for part in text.split(separator: ";", omittingEmptySubsequences: false) {
        schedules.append(try schedule(part.trimmed))
      }
      return .schedules(schedules)
    case .list(let items): return .schedules(try self.schedules(items))
    default: throw ValueProblem(raw, isNot: "a cron expression", hint: "write it in quotes, such as \"0 2 * * *\"")
    }
  }

  private func schedules(_ items: [RawItem]) throws(ValueProblem) -> [CronSchedule] {
    guard !items.isEmpty else {
      throw ValueProblem(problem: "is an empty array", hint: "omit it, or write \"none\"")
    }
    var schedules: [CronSchedule] = []
    for item in items {
      do throws(ValueProblem) {
        schedules.append(try schedule(try string(item.value, "a cron expression such as \"0 2 * * *\"")))
      } catch {
        var problem = error
        problem.position = item.position
        throw problem
      }
    }
    return schedules
  }

  private func schedule(_ text: String) throws(ValueProblem) -> CronSchedule {
    do {
      return try CronSchedule(text)
    } catch {
      var problem = ValueProblem(error, about: "schedule", hint: "write five fields, such as 0 2 * * *")
      // People copy a `.env` with its comments to places that have no comments.
      if CronSchedule.names.contains(text.lowercased()) { problem.hint = "write @\(text.lowercased())" }
      if text.contains(" #") { problem.hint = "remove the text after the #: only .env has comments after a value" }
      throw problem
    }
  }

  func zone(_ raw: RawValue) throws(ValueProblem) -> SettingValue {
    let text = try string(raw, "a zone such as Europe/Berlin")
    do {
      return .zone(try TimeZones.named(text))
    } catch {
      throw ValueProblem(error, about: "time zone", hint: "write a name such as Europe/Berlin")
    }
  }

  func quietHours(_ raw: RawValue) throws(ValueProblem) -> SettingValue {
    if raw == .string("none") || raw == .untyped("none") { return .none }
    let text = try string(raw, "hours such as 22:00-06:00")
    do {
      return .quietHours(try QuietHours(text))
    } catch {
      throw ValueProblem(error, about: "quiet hours", hint: "write hours such as 22:00-06:00")
    }
  }
}

extension CronSchedule {
  /// The names that may follow an `@`.
  fileprivate static let names: Set = ["yearly", "annually", "monthly", "weekly", "daily", "midnight", "hourly"]
}

// Amounts of rules of retention: numbers, spans of the calendar, tags.
extension ValueKind {
  /// As in restic, 0 means no rule, and -1 means all.
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

  /// An empty list is for backups without tags.
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
  /// Nil for anything but a whole number from 1 and a unit: `%` up to 99, or `B`, `kB` … `TB` in
  /// powers of 1000, `K`, `KiB` … `T`, `TiB` in powers of 1024.
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
