import TOML

/// Where a value comes from.
enum Origin: Hashable, Sendable {
  case flag(String)
  case variable(String)
  case envFile(path: String, position: FilePosition, name: String)
  case file(path: String, position: FilePosition, key: String)
  case standard

  /// The start of a message about the value.
  var place: String {
    switch self {
    case .flag(let flag): flag
    case .variable(let name): "the environment variable \(name)"
    case .envFile(let path, let position, let name): "\(path):\(position.line):\(position.column): \(name)"
    case .file(let path, let position, let key): "\(path):\(position.line):\(position.column): \(key)"
    case .standard: "the default"
    }
  }

  /// For the table of `config show`.
  var words: String {
    switch self {
    case .flag(let flag): "flag \(flag)"
    case .variable(let name): "environment variable \(name)"
    case .envFile(let path, let position, _): "\(path) line \(position.line)"
    case .file(let path, let position, _): "\(path) line \(position.line) column \(position.column)"
    case .standard: "default"
    }
  }

  /// The same place with another position: an item of an array.
  func at(_ position: FilePosition?) -> Origin {
    guard let position, case .file(let path, _, let key) = self else { return self }
    return .file(path: path, position: position, key: key)
  }

  /// The file that it stands in; nil for the command line and the environment.
  var file: String? {
    switch self {
    case .envFile(let path, _, _), .file(let path, _, _): path
    default: nil
    }
  }

  /// What the names in it are called: a flag's values are quoted as the parser of flags does it.
  var isFlag: Bool {
    if case .flag = self { return true }
    return false
  }
}
