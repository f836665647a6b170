import BackupEngine
import CShims
import FoundationEssentials
import Glibc

/// The environment variables at the start of the process. An empty one counts as not set.
struct ProcessEnvironment: Sendable {
  /// The variables that this process was started with.
  static let current = ProcessEnvironment()

  private let values: [String: String]
  /// `BACKUP_ENCRYPTION_PASSWORD`; removed from the process's environment once it is read.
  let password: SecretBytes?

  /// The command line, the program's name first.
  static let arguments: [String] = {
    var arguments: [String] = []
    guard let values = cshims_arguments() else { return [] }
    while let value = values[arguments.count] { arguments.append(String(cString: value)) }
    return arguments
  }()

  /// Variables that are not settings.
  enum Variable: String {
    case configFile = "HOLDFAST_CONFIG"
    case terminal = "TERM"
  }

  private init() {
    let password = Self.takePassword(SettingKey.password.variable)
    self.init(ProcessInfo.processInfo.environment, password: password)
  }

  /// - Parameter values: without the password.
  init(_ values: [String: String], password: SecretBytes? = nil) {
    self.values = values.filter { !$0.value.isEmpty }
    self.password = password
  }

  subscript(_ variable: Variable) -> String? { values[variable.rawValue] }
  subscript(_ name: String) -> String? { values[name] }

  /// The variables that other programs define also, such as those of AWS.
  var foreign: [String: String] { values.filter { !$0.key.hasPrefix("BACKUP_") && !$0.key.hasPrefix("HOLDFAST_") } }

  /// The settings among them.
  var layer: Layer {
    let origin = password == nil ? nil : Origin.variable(SettingKey.password.variable)
    var layer = Layer(password: password, passwordOrigin: origin)
    for key in SettingKey.allCases where !key.isSecret {
      guard let text = values[key.variable] else { continue }
      layer[key] = Given(raw: .untyped(text), origin: .variable(key.variable))
    }
    return layer
  }

  /// Variables that look like settings but are not. They may belong to another program, so they are
  /// not errors. If one is nearly a setting, it is a warning.
  var problems: [ConfigurationProblem] {
    quotedPassword + strangers
  }

  /// Such a password may be real, so this is a warning; other values are refused when they are
  /// read.
  private var quotedPassword: [ConfigurationProblem] {
    guard password?.withBytes({ Self.isQuoted($0) }) ?? false else { return [] }
    return [
      ConfigurationProblem(
        .warning, at: .variable(SettingKey.password.variable),
        "begins and ends with a quotation mark, which is part of the password here",
        hint: "remove the quotes unless they belong to it: docker's --env-file keeps them, a shell does not")
    ]
  }

  private static func isQuoted(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard bytes.count >= 2, let first = bytes.first, first == bytes.last else { return false }
    return first == UInt8(ascii: "\"") || first == UInt8(ascii: "'")
  }

  private var strangers: [ConfigurationProblem] {
    values.keys.filter { $0.hasPrefix("BACKUP_") && SettingKey.of(variable: $0) == nil }.sorted().map { name in
      ConfigurationProblem(
        KeyAdvice.nearVariable(name) == nil ? .remark : .warning, at: .variable(name.shortened), "is not a setting",
        hint: KeyAdvice.forVariable(name))
    }
  }

  /// Reads a secret and wipes it: `/proc/PID/environ` shows the very memory that `getenv` points
  /// to, and children would inherit it.
  private static func takePassword(_ name: String) -> SecretBytes? {
    guard let value = getenv(name) else { return nil }
    let count = strlen(value)
    let secret = SecretBytes(Array(UnsafeRawBufferPointer(start: value, count: count)))
    memset(value, 0, count)
    unsetenv(name)
    return count == 0 ? nil : secret
  }
}

extension StandardFolders {
  /// The variable of the environment.
  init(environment: ProcessEnvironment) {
    self.init { environment[$0] }
  }
}
