import BackupPolicy

/// Values of variables, read only by the commands that use them: a wrong one is no reason for `list` to fail.
extension ProcessEnvironment {
  /// - Throws: `usage` for anything but a word for yes or no.
  func flag(_ variable: Variable) throws -> Bool? {
    guard let text = self[variable] else { return nil }
    switch text.lowercased() {
    case "true", "yes", "on", "1": return true
    case "false", "no", "off", "0": return false
    default: throw Self.invalid(variable, text, accepted: "true or false (also yes, no, on, off, 1, 0)")
    }
  }

  /// - Throws: `usage` for anything but a whole number of at least 1.
  func count(_ variable: Variable) throws -> Int? {
    guard let text = self[variable] else { return nil }
    guard let number = Int(text), number >= 1 else {
      throw Self.invalid(variable, text, accepted: "a whole number of at least 1")
    }
    return number
  }

  private static func invalid(_ variable: Variable, _ value: String, accepted: String) -> HoldfastError {
    HoldfastError(
      .usage, "the environment variable \(variable.rawValue) is \"\(value.shortened)\", which is not \(accepted)",
      hint: "set it to \(accepted), or unset it")
  }
}

extension String {
  /// At most 60 characters of it, for messages.
  var shortened: String { count > 60 ? "\(prefix(60))…" : self }
}
