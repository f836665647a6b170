import CShims
import Glibc
import Names

/// Reports the agent's condition to a service manager (sd_notify), with datagrams to the socket in
/// `NOTIFY_SOCKET`.
struct ServiceNotifier: Sendable {
  /// A path, or `@` and an abstract name; nil: there is no service manager.
  var socket: String?
  /// How often the service manager expects a sign of life, in milliseconds; nil: never.
  var watchdog: Int64?

  /// The values that the service manager set for this process.
  static var fromEnvironment: ServiceNotifier {
    func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
    let isOurs = variable("WATCHDOG_PID").map { Int32($0) == getpid() } ?? true
    return ServiceNotifier(
      socket: variable("NOTIFY_SOCKET").flatMap { $0.hasPrefix("/") || $0.hasPrefix("@") ? $0 : nil },
      watchdog: isOurs ? variable("WATCHDOG_USEC").flatMap { Int64($0) }.flatMap { $0 > 0 ? $0 / 1000 : nil } : nil)
  }

  /// Sends assignments, one a line. An unreachable service manager is not an error.
  func send(_ assignments: String...) {
    guard let socket else { return }
    cshims_notify(socket, assignments.map(\.printable).joined(separator: "\n"))
  }
}

/// The last report to the service manager, and the time of the next one.
struct Announcements {
  private let notifier: ServiceNotifier
  private var isReady = false
  private var isStopping = false
  private var status: String?
  private var nextSign: Int64?

  init(_ notifier: ServiceNotifier) {
    self.notifier = notifier
  }

  /// The time of the next sign of life, in monotonic milliseconds.
  var deadline: Int64? { isReady ? nextSign : nil }

  /// Reports changes.
  ///
  /// - Parameter problems: the number of matches of patterns that are not backed up.
  mutating func update(_ coordinators: [DatabaseCoordinator], problems: Int, isStopping: Bool, at time: Int64) {
    guard notifier.socket != nil else { return }
    if !isReady, coordinators.allSatisfy(\.isReady) {
      isReady = true
      nextSign = notifier.watchdog.map { _ in time }
      notifier.send("READY=1")
    }
    if isStopping, !self.isStopping {
      self.isStopping = true
      notifier.send("STOPPING=1")
    }
    let words = Self.words(coordinators, problems)
    if words != status {
      status = words
      notifier.send("STATUS=\(words)")
    }
    guard let watchdog = notifier.watchdog, let nextSign, nextSign <= time else { return }
    notifier.send("WATCHDOG=1")
    self.nextSign = time + max(1, watchdog / 2)
  }

  /// The service manager needs the time, to distinguish this reload from an earlier one.
  func reloading() {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    notifier.send("RELOADING=1", "MONOTONIC_USEC=\(now.tv_sec * 1_000_000 + now.tv_nsec / 1000)")
  }

  func reloaded() {
    notifier.send("READY=1")
  }

  private static func words(_ coordinators: [DatabaseCoordinator], _ problems: Int) -> String {
    let what = coordinators.count == 1 ? coordinators[0].path : "\(coordinators.count) databases"
    let alarms = coordinators.reduce(problems) { $0 + $1.parts.alarms.count }
    let newest = coordinators.compactMap(\.newest).max { $0.created < $1.created }
    return "watching \(what)" + (newest.map { "; newest backup \($0.id)" } ?? "; no backup yet")
      + (alarms == 0 ? "" : "; \(alarms) alarm\(alarms == 1 ? "" : "s"), see the log")
  }
}
