import BackupEngine

/// The command that restores a backup, for any working directory: the files of the settings are
/// named with absolute paths.
struct RestoreCommandLine {
  let words: [String]

  init(_ id: String, _ selection: Selection, _ configuration: Configuration) {
    var words = [ProcessEnvironment.arguments.first.map { $0.contains("/") ? $0.tidyAbsolutePath : $0 } ?? "holdfast"]
    words += ["restore", id]
    func add(_ flag: String, _ path: String?) {
      if let path { words += [flag, path.tidyAbsolutePath] }
    }
    add("--config", configuration.file?.path)
    add("--env-file", configuration.envFile?.path)
    add("--database", selection.databasePath)
    add("--backup-dir", selection.backupDir)
    for (key, flag) in [(SettingKey.keyFile, "--key-file"), (.passwordFile, "--password-file")] {
      switch selection.settings.origin(key) {
      case .flag, .variable: add(flag, (try? selection.settings.path(key)) ?? nil)
      case .envFile, .file, .standard: break
      }
    }
    self.words = words
  }

  var text: String { words.map(Self.quoted).joined(separator: " ") }

  /// A word, quoted for a shell; control characters in the syntax of bash, zsh, ksh and POSIX 2024.
  static func quoted(_ word: String) -> String {
    let plain = word.utf8.allSatisfy { byte in
      (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
        || "@%+=:,./-_".utf8.contains(byte)
    }
    if plain, !word.isEmpty { return word }
    guard word.utf8.contains(where: { $0 < 32 || $0 == 127 }) else {
      return "'\(word.replacing("'", with: "'\\''"))'"
    }
    let escaped = word.utf8.map { byte in
      switch byte {
      case UInt8(ascii: "'"), UInt8(ascii: "\\"): "\\\(Character(Unicode.Scalar(byte)))"
      case 32..<127: String(Unicode.Scalar(byte))
      default: "\\\(octal(byte))"
      }
    }
    return "$'\(escaped.joined())'"
  }

  private static func octal(_ byte: UInt8) -> String {
    let digits = String(byte, radix: 8)
    return String(repeating: "0", count: 3 - digits.count) + digits
  }
}
