import ArgumentParser

// Flags whose names and help come from the table of settings. Their values are text, for what they may be is known to the
// table too, and said the same way wherever a value comes from.

extension Option where Value == String? {
  /// `--max-delay TIME`
  init(_ key: SettingKey) {
    self.init(name: .customLong(key.flag ?? key.name), help: key.help)
  }

  /// `--keep-daily N`, where -1 is a value and no flag.
  init(quota key: SettingKey, alias: String? = nil) {
    var names = [NameSpecification.Element.customLong(key.flag ?? key.name)]
    if let alias { names.append(.customLong(alias)) }
    self.init(name: NameSpecification(names), parsing: .unconditional, help: key.help)
  }
}

extension Option where Value == [String] {
  /// A flag that may be repeated.
  init(wrappedValue: [String], _ key: SettingKey) {
    self.init(wrappedValue: wrappedValue, name: .customLong(key.flag ?? key.name), help: key.help)
  }
}

extension Flag where Value == Bool? {
  /// `--encrypt` and `--no-encrypt`
  init(_ key: SettingKey) {
    self.init(name: .customLong(key.flag ?? key.name), inversion: .prefixedNo, help: key.help)
  }
}

extension SettingKey {
  /// The help of its flag.
  fileprivate var help: ArgumentHelp {
    let standard = definition.standardText ?? definition.standardWords
    let note = standard == "none" || standard == "all" ? "" : "; default: \(standard.replacing("`", with: ""))"
    return ArgumentHelp(
      "\(definition.summary.replacing("`", with: "")) (\(variable)\(note)).", valueName: definition.kind.valueName)
  }
}

extension ValueKind {
  fileprivate var valueName: String? {
    switch self {
    case .boolean: nil
    case .count, .quota: "n"
    case .span: "span"
    case .tagLists: "tags"
    case .level: "1-9"
    case .time: "time"
    case .freeSpace: "size"
    case .choice: "word"
    case .text: "text"
    case .path: "path"
    case .folder: "folder"
    case .database: "path-or-url"
    case .schedules: "cron"
    case .zone: "zone"
    case .quietHours: "hours"
    }
  }
}
