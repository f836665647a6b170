import BackupPolicy
import Glibc
import Logging
import SQLitePages

/// The engine's view of its surroundings, which tests can replace.
package struct EngineEnvironment: Sendable {
  package var files: any FileOperations
  /// Wall time.
  package var now: @Sendable () -> Timestamp
  /// Milliseconds that only increase.
  package var monotonic: @Sendable () -> Int64
  package var host: String
  /// Both clocks and the start of the machine, to detect whether the wall clock was set.
  package var clock: @Sendable () -> ClockReading
  /// Whether a time server keeps the wall clock.
  package var clockIsSynchronized: @Sendable () -> Bool = { true }
  /// `$XDG_STATE_HOME/holdfast` or systemd's state directory.
  package var stateFolder: String
  package var logger: Logger
  /// PBKDF2 iterations of new password slots.
  package var passwordIterations: UInt32 = KeySlot.defaultIterations
  /// How long to wait for locks on the database, in milliseconds.
  package var busyTimeout: Int32 = 5000
  package var repositoryPatience = LockPatience(milliseconds: 30000)

  package init(
    files: any FileOperations, now: @escaping @Sendable () -> Timestamp, monotonic: @escaping @Sendable () -> Int64,
    host: String, stateFolder: String, logger: Logger
  ) {
    self.files = files
    self.now = now
    self.monotonic = monotonic
    self.host = host
    // The time of a test: both clocks agree unless the test is about their difference.
    clock = { ClockReading(wall: now(), elapsed: now().milliseconds, boot: "steady") }
    self.stateFolder = stateFolder
    self.logger = logger
  }

  /// The real surroundings.
  package static func system(stateFolder: String, logger: Logger) -> EngineEnvironment {
    var environment = EngineEnvironment(
      files: SystemFileOperations { logger.warning("\($0.message)") }, now: { SystemClock.now() },
      monotonic: { SystemClock.monotonic() },
      host: SystemClock.hostName(), stateFolder: stateFolder, logger: logger)
    environment.clock = { SystemClock.reading() }
    environment.clockIsSynchronized = { Surroundings.clockIsKept == true }
    return environment
  }
}

extension EngineEnvironment {
  /// Closes a connection to a user's database, and logs any problem of its files that the closing
  /// found.
  package func close(_ connection: DatabaseConnection) {
    connection.close()
    guard let warning = connection.closing?.warning else { return }
    logger.error("\(HoldfastError(.factsChanged, warning, hint: connection.closing?.hint))")
  }
}

/// The kernel's clocks and name.
package enum SystemClock {
  package static func now() -> Timestamp { Timestamp(milliseconds: milliseconds(CLOCK_REALTIME)).ofClock }
  /// Also increases while the machine sleeps.
  package static func monotonic() -> Int64 { milliseconds(CLOCK_BOOTTIME) }

  static func reading() -> ClockReading { ClockReading(wall: now(), elapsed: monotonic(), boot: ProcFile.bootID) }

  private static func milliseconds(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return Int64(time.tv_sec).multipliedClamped(by: 1000).addingClamped(Int64(time.tv_nsec) / 1_000_000)
  }

  package static func hostName() -> String {
    var buffer = [CChar](repeating: 0, count: 256)
    guard gethostname(&buffer, 255) == 0 else { return "localhost" }
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

/// This program's version, as the metadata and `--version` give it.
package let holdfastVersion = "0.1.0"

/// The version of the SQLite library in use.
package var sqliteLibraryVersion: String { DatabaseConnection.libraryVersion }

/// The default places of files: the XDG base directories.
package struct StandardFolders: Sendable {
  /// The value of an environment variable; nil if it is empty or not set.
  package let variable: @Sendable (String) -> String?

  package init(variable: @escaping @Sendable (String) -> String?) {
    self.variable = variable
  }

  /// Reads this process's environment.
  static var ofThisProcess: StandardFolders {
    StandardFolders { name in getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 } }
  }

  /// The folder of this host's states of its repositories.
  ///
  /// - Throws: `usage` if not even a home folder is known.
  package func state() throws -> String {
    // systemd lists several state directories with colons between them.
    if let folder = variable("STATE_DIRECTORY")?.split(separator: ":").first {
      guard folder.first != "\"", folder.first != "'" else {
        throw HoldfastError(
          .usage, "STATE_DIRECTORY begins with a quotation mark, which is part of the value here",
          hint: "remove the quotes: docker's --env-file keeps them")
      }
      return String(folder)
    }
    if let folder = absolute("XDG_STATE_HOME") { return "\(folder)/holdfast" }
    if let home { return "\(home)/.local/state/holdfast" }
    throw HoldfastError(.usage, "there is no home folder for the state", hint: "set HOME or XDG_STATE_HOME")
  }

  /// The key file that `init` makes and that the other commands use if it exists.
  package var keyFile: String? { configurationFolder.map { "\($0)/key" } }

  /// `$XDG_CONFIG_HOME/holdfast`.
  package var configurationFolder: String? {
    if let folder = absolute("XDG_CONFIG_HOME") { return "\(folder)/holdfast" }
    return home.map { "\($0)/.config/holdfast" }
  }

  /// `HOME`, or the folder in the system's list of users.
  package var home: String? {
    if let home = absolute("HOME") { return home }
    guard let entry = getpwuid(geteuid()), let folder = entry.pointee.pw_dir else { return nil }
    let path = String(cString: folder)
    return path.hasPrefix("/") ? path : nil
  }

  /// The XDG specification requires that relative paths are ignored.
  private func absolute(_ name: String) -> String? {
    variable(name).flatMap { $0.hasPrefix("/") ? $0 : nil }
  }
}
