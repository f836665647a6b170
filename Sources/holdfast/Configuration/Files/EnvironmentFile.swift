import BackupEngine
import TOML

/// What `.env` says of Holdfast's settings; what it says to other programs is none of our business.
struct EnvironmentFile: Sendable {
  let path: String
  private(set) var layer = Layer()
  private(set) var problems: [ConfigurationProblem] = []
  private var lines: [SettingKey: Int] = [:]

  /// - Parameter path: as messages name it.
  init(_ bytes: [UInt8], path: String) {
    self.path = path
    var entries = EnvironmentFileParser.entries(bytes)
    for index in entries.indices {
      // Taken out, so that nothing shares its storage when it is wiped.
      var value = entries[index].value
      entries[index].value = nil
      defer { value?.wipe() }
      let entry = entries[index]
      if let key = SettingKey.of(variable: entry.name) {
        read(entry, value, key)
      } else if entry.name.uppercased().hasPrefix("BACKUP_") {
        add(entry, entry.position, "is not a setting", hint: KeyAdvice.forVariable(entry.name))
      }
    }
  }

  private mutating func read(_ entry: EnvironmentFileParser.Entry, _ value: [UInt8]?, _ key: SettingKey) {
    guard let value else {
      return add(entry, entry.position, "has no value", hint: "write \(entry.name)=value on one line")
    }
    // Another program's URL may well have a variable in it; see ``Given/isForeignAddress``.
    let isForeign = key == .database && DatabaseAddress.foreignScheme(String(decoding: value, as: UTF8.self)) != nil
    if let flaw = entry.flaw, !isForeign { return add(flaw, entry) }
    if let line = lines[key] {
      add(
        entry, entry.position, "stands in line \(line) too, and this one counts", hint: "take one of them out", .warning
      )
    }
    lines[key] = entry.position.line
    let origin = Origin.envFile(path: path, position: entry.valuePosition, name: entry.name)
    if key.isSecret {
      layer.password = value.isEmpty ? nil : SecretBytes(value)
      layer.passwordOrigin = value.isEmpty ? nil : origin
      return
    }
    guard let text = String(validating: value, as: UTF8.self), !value.contains(0) else {
      return add(entry, entry.valuePosition, "is not text in UTF-8", hint: "save the file as UTF-8")
    }
    // As in the environment itself, an empty one counts as not set.
    layer[key] = text.isEmpty ? nil : Given(raw: .untyped(text), origin: origin)
  }

  /// Warns where everybody may read the password.
  mutating func checkPermissions(_ permissions: UInt32) {
    guard permissions & 0o004 != 0, let password = layer.passwordOrigin else { return }
    problems.append(
      ConfigurationProblem(
        .warning, at: password, "can be read by every user of this host", hint: "chmod 600 \(path)"))
  }

  private mutating func add(_ flaw: EnvironmentFileParser.Flaw, _ entry: EnvironmentFileParser.Entry) {
    switch flaw {
    case .unclosedQuote:
      add(entry, entry.valuePosition, "begins with a quote that is never closed", hint: "close it, or write no quotes")
    case .textAfterQuote:
      add(
        entry, entry.valuePosition, "goes on after its closing quote",
        hint: "put the whole value in quotes, or a space before the #")
    case .substitution:
      add(
        entry, entry.valuePosition, "refers to something else with $, which is not replaced here",
        hint: "write the value itself; where the $ belongs to it, put it in single quotes")
    }
  }

  private mutating func add(
    _ entry: EnvironmentFileParser.Entry, _ position: FilePosition, _ problem: String, hint: String,
    _ severity: ConfigurationProblem.Severity = .error
  ) {
    let origin = Origin.envFile(path: path, position: position, name: entry.name.shortened)
    problems.append(ConfigurationProblem(severity, at: origin, problem, hint: hint))
  }
}

extension [UInt8] {
  /// Overwrites it with zeros, where nobody else shares its storage.
  mutating func wipe() {
    for index in indices { self[index] = 0 }
  }
}
