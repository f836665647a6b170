import BackupEngine
import BackupPolicy
import Glibc
import Testing
import TestSupport

@testable import BackupAgent

/// The messages to a service manager, through a real socket of its kind.
@Suite(.ownThread) struct AgentNotificationTests {
  /// Python's end of the socket: prints each message as one line, with newlines as `|`.
  private static let listener = """
    import socket, sys
    name = sys.argv[1]
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind("\\0" + name[1:] if name.startswith("@") else name)
    print("bound", flush=True)
    while True: print(s.recv(4096).decode().replace("\\n", "|"), flush=True)
    """

  @Test(arguments: [false, true])
  func aServiceManagerHearsOfEachStep(abstract: Bool) async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    let name = (abstract ? "@" : "") + harness.folder.path("notify")
    let listener = try ProcessInBackground("python3", ["-c", Self.listener, name])
    try await harness.wait(for: "bound", of: listener)
    let configuration = harness.configuration()
    let notifier = ServiceNotifier(socket: name, watchdog: 200)
    try await harness.withAgent(configuration, reload: { configuration }, parts: { $0.notifier = notifier }) { _ in
      try await harness.wait(for: "READY=1", of: listener)
      try await harness.log.wait(for: "stored backup_")
      let point = try #require(try harness.points().first).id
      try await harness.wait(for: "STATUS=watching \(harness.database); newest backup \(point)", of: listener)
      try await harness.eventually("two signs of life") { listener.lines.count { $0 == "WATCHDOG=1" } >= 2 }
      harness.control.reload()
      try await harness.log.wait(for: "the configuration was reloaded")
    }
    try await harness.wait(for: "STOPPING=1", of: listener)
    let lines = listener.lines
    #expect(lines.count { $0 == "READY=1" } == 2, "at the start and after the reload: \(lines)")
    #expect(lines.contains { $0.hasPrefix("RELOADING=1|MONOTONIC_USEC=") })
    #expect(lines.filter { !$0.hasPrefix("STATUS=") }.prefix(2) == ["bound", "READY=1"], "\(lines)")
  }

  @Test func nobodyListensIsNoFailure() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    let notifier = ServiceNotifier(socket: harness.folder.path("nobody"), watchdog: nil)
    try await harness.withAgent(parts: { $0.notifier = notifier }) { _ in try await harness.waitForPoints(1) }
  }
}
