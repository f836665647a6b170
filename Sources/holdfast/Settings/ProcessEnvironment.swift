import BackupEngine
import Glibc

/// The environment variables that Holdfast knows, as they were when the process started. An empty one counts as not set.
struct ProcessEnvironment: Sendable {
  /// What this process was started with.
  static let current = ProcessEnvironment()

  private let values: [Variable: String]
  /// `BACKUP_ENCRYPTION_PASSWORD`; gone from the process's environment once it is read.
  let password: SecretBytes?

  enum Variable: String, CaseIterable {
    case databaseURL = "DATABASE_URL"
    case backupDir = "BACKUP_DIR"
    case passwordFile = "BACKUP_ENCRYPTION_PASSWORD_FILE"
    case keyFile = "BACKUP_ENCRYPTION_KEY_FILE"
    case encryption = "BACKUP_ENCRYPTION_ENABLED"
    case compression = "BACKUP_COMPRESSION_ENABLED"
    case verifyAfterCreate = "BACKUP_VERIFY_AFTER_CREATE"
    case retentionDays = "BACKUP_RETENTION_DAYS"
    case maxBackups = "BACKUP_MAX_BACKUPS"
    case enabled = "BACKUP_ENABLED"
    case schedule = "BACKUP_SCHEDULE"
    case home = "HOME"
    case configHome = "XDG_CONFIG_HOME"
    case stateHome = "XDG_STATE_HOME"
    case stateDirectory = "STATE_DIRECTORY"
    case terminal = "TERM"
  }

  private init() {
    password = Self.takePassword("BACKUP_ENCRYPTION_PASSWORD")
    values = Dictionary(
      uniqueKeysWithValues: Variable.allCases.compactMap { variable in
        getenv(variable.rawValue).map { (variable, String(cString: $0)) }
      }
    ).filter { !$0.value.isEmpty }
  }

  subscript(_ variable: Variable) -> String? { values[variable] }

  /// Reads a secret and wipes it where the kernel shows it: `/proc/PID/environ` is the very memory that `getenv` points to, and
  /// children would inherit it.
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
  /// As the environment says.
  init(environment: ProcessEnvironment) {
    self.init { name in ProcessEnvironment.Variable(rawValue: name).flatMap { environment[$0] } }
  }
}
