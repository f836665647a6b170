import BackupEngine
import BackupPolicy
import TOML

/// A value and its origin.
struct Given: Hashable, Sendable {
  var raw: RawValue
  var origin: Origin

  /// - Throws: `usage` with the place of a value that does not fit.
  func value(of kind: ValueKind) throws -> SettingValue {
    do throws(ValueProblem) {
      return try kind.read(raw)
    } catch {
      throw ConfigurationProblem(error, self).error
    }
  }
}

/// The values of one source: the flags, the environment, a file.
struct Layer: Sendable {
  var values: [SettingKey: Given] = [:]
  /// The password. This is its only copy.
  var password: SecretBytes?
  var passwordOrigin: Origin?

  subscript(_ key: SettingKey) -> Given? {
    get { values[key] }
    set { values[key] = newValue }
  }

  /// The flags that were given.
  static func flags(_ given: [SettingKey: String?]) -> Layer {
    var layer = Layer()
    for case (let key, let text?) in given {
      layer[key] = Given(raw: .untyped(text), origin: .flag(key.flagText ?? key.name))
    }
    return layer
  }

  /// The values of some keys.
  func filter(_ isIncluded: (SettingKey) -> Bool) -> Layer {
    Layer(values: values.filter { isIncluded($0.key) })
  }

  func merging(_ other: Layer) -> Layer {
    Layer(
      values: values.merging(other.values) { $1 }, password: other.password ?? password,
      passwordOrigin: other.passwordOrigin ?? passwordOrigin)
  }
}

/// A mistake or a possible mistake in the configuration.
struct ConfigurationProblem: Hashable, Sendable {
  enum Severity: Hashable, Sendable {
    case error
    case warning
    /// Only `config check` reports it.
    case remark
  }

  var severity: Severity
  /// The place and the mistake: `holdfast.toml:3:1: debouce is not a setting`.
  var message: String
  var hint: String
  /// The place, for sorting; nil outside files.
  var file: String?
  var position: FilePosition?

  init(_ severity: Severity = .error, at origin: Origin, _ problem: String, hint: String) {
    self.severity = severity
    self.hint = hint
    message = problem.hasPrefix(":") ? "\(origin.place)\(problem)" : "\(origin.place) \(problem)"
    switch origin {
    case .envFile(let path, let position, _), .file(let path, let position, _):
      (file, self.position) = (path, position)
    default: break
    }
  }

  init(_ severity: Severity, _ message: String, hint: String) {
    (self.severity, self.message, self.hint) = (severity, message, hint)
  }

  init(_ message: String, hint: String) {
    self.init(.error, message, hint: hint)
  }

  /// A value that does not fit.
  init(_ value: ValueProblem, _ given: Given) {
    let problem = given.origin.isFlag ? value.problemOfFlag : value.problem
    let help = given.origin.isFlag ? "; \(CommandNames.helpHint(for: ProcessEnvironment.arguments.dropFirst()))" : ""
    self.init(at: given.origin.at(value.position), problem, hint: value.hint + help)
  }

  /// The error of a command that needs the value; ``init(_:)`` returns the problem in it.
  var error: HoldfastError { HoldfastError(.usage, message, hint: hint, cause: Failure(self)) }

  /// The problem that an error reports.
  init(_ error: any Error) {
    if let failure = error as? Failure ?? (error as? HoldfastError)?.cause as? Failure {
      self = failure.problem
    } else if let error = error as? HoldfastError {
      self.init(error.message, hint: error.hint ?? "correct it")
    } else {
      self.init("\(error)", hint: "correct it")
    }
  }
}

extension ConfigurationProblem {
  /// A problem that ends the reading of its subject.
  struct Failure: Error {
    let problem: ConfigurationProblem

    init(_ problem: ConfigurationProblem) {
      self.problem = problem
    }
  }
}

/// The origin of a value.
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

  /// The file that holds it; nil for the command line and the environment.
  var file: String? {
    switch self {
    case .envFile(let path, _, _), .file(let path, _, _): path
    default: nil
    }
  }

  /// A flag's values are quoted as the parser of flags quotes them.
  var isFlag: Bool {
    if case .flag = self { return true }
    return false
  }
}
