import ArgumentParser

// Flags whose names and help come from the table of settings. Their values are text, because the
// table also knows the valid values, and a mistake is reported in the same words for every source
// of a value.

extension Option where Value == String? {
  /// `--max-delay TIME`
  init(_ key: SettingKey) {
    self.init(name: .customLong(key.flag ?? key.name), help: key.help, completion: key.definition.kind.completion)
  }

  /// `--keep-daily N`, with -1 as a value and not as a flag.
  init(quota key: SettingKey, alias: String? = nil) {
    var names = [NameSpecification.Element.customLong(key.flag ?? key.name)]
    if let alias { names.append(.customLong(alias)) }
    self.init(name: NameSpecification(names), parsing: .unconditional, help: key.help)
  }
}

extension Option where Value == Int? {
  /// A number that ArgumentParser reads.
  init(_ key: SettingKey) {
    self.init(name: .customLong(key.flag ?? key.name), help: key.help)
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

  /// By the names of the cases: `maxDelay`.
  fileprivate static let byCase = Dictionary(uniqueKeysWithValues: allCases.map { ("\($0)", $0) })
}

extension ParsableArguments {
  /// The settings among the given flags. A property belongs to the key with its name. Like
  /// ArgumentParser itself, this finds the properties by reflection. Groups in the group have
  /// layers of their own.
  var settingFlags: Layer {
    var given: [SettingKey: String?] = [:]
    for (label, wrapper) in Mirror(reflecting: self).children {
      guard let key = label.flatMap({ SettingKey.byCase[String($0.dropFirst())] }) else { continue }
      given[key] = Self.text(wrapper)
    }
    return .flags(given)
  }

  /// The value of a flag, as the environment would have it; nil if the flag is not given, or if the
  /// group itself reads it.
  private static func text(_ wrapper: Any) -> String? {
    switch wrapper {
    case let option as Option<String?>: option.wrappedValue
    case let option as Option<[String]>:
      option.wrappedValue.isEmpty ? nil : option.wrappedValue.joined(separator: ";")
    case let flag as Flag<Bool?>: flag.wrappedValue.map { "\($0)" }
    default: nil
    }
  }
}

extension ValueKind {
  /// How a shell completes a value.
  fileprivate var completion: CompletionKind? {
    switch self {
    case .path, .database: .file()
    case .folder, .storeAddress: .directory
    case .level: .list((1...9).map(String.init))
    case .choice(let words): .list(words)
    default: nil
    }
  }

  fileprivate var valueName: String? {
    switch self {
    case .boolean: nil
    case .count, .quota: "n"
    case .span: "span"
    case .tagLists: "tags"
    case .level: "1-9"
    case .time, .timeOfDay: "time"
    case .freeSpace, .rate: "size"
    case .choice: "word"
    case .text, .label, .storageClass: "text"
    case .storeAddress, .proxy, .channelAddress, .webAddress: "url"
    case .mailAddresses: "address"
    case .arguments: "command"
    case .path: "path"
    case .folder: "folder"
    case .database: "path-or-url"
    case .schedules: "cron"
    case .zone: "zone"
    case .quietHours: "hours"
    }
  }
}
