import BackupEngine
import BackupPolicy
import Glibc
import TestSupport
import Testing
import Wording

@testable import BackupAgent

/// Commands ask a running agent through its socket.
@Suite(.ownThread) struct AgentControlTests {
  private func withAgent(
    _ settings: AgentSettings = AgentHarness.settings(), reload: (@Sendable () throws -> AgentConfiguration)? = nil,
    _ body: (AgentHarness) async throws -> Void
  ) async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    try await harness.withAgent(
      harness.configuration(settings), reload: reload, parts: { $0.acceptsCommands = true }
    ) { _ in
      try await harness.waitForPoints(1)
      try await body(harness)
    }
    #expect(try SystemFileOperations().list(harness.folder.path("state/agents")).isEmpty)
  }

  private func ask(_ request: ControlRequest, _ harness: AgentHarness) async throws -> JSONObject {
    try await offPool { [engine = harness.engine] in
      guard case .answering(var client) = try ControlClient.find(for: engine) else {
        throw HoldfastError(.failed, "no agent answers")
      }
      return try client.ask(request, timeout: 20_000)
    }
  }

  private func facts(_ harness: AgentHarness) async throws -> StateFacts {
    let answer = try await ask(ControlRequest(.status), harness)
    guard case .array(let databases)? = answer["databases"] else { throw HoldfastError(.failed, "no databases") }
    return try #require(StateFacts(status: databases[0], isStopping: false, harness.engine.environment))
  }

  private func insert(_ count: Int, _ harness: AgentHarness) async throws {
    try await harness.python(
      """
      c = sqlite3.connect(path)
      c.executemany("INSERT INTO t(s) VALUES (?)", [("x",)] * \(count))
      c.commit()
      """)
  }

  @Test func theStatusFollowsAChangeUntilItIsStored() async throws {
    try await withAgent(AgentHarness.settings { $0.debounce = 2000 }) { harness in
      try await harness.eventually("the first backup") { try await facts(harness).newest != nil }
      let first = try await facts(harness)
      let newest = try harness.points().last?.id
      #expect(first.name == "app" && first.newest?.id == newest)
      #expect(first.exposedSince == nil && first.alarms.isEmpty)
      try await insert(3, harness)
      try await harness.eventually("a pending change") { try await facts(harness).unprotectedSince != nil }
      try await harness.waitForRows(3)
      try await harness.eventually("a saved state") { try await facts(harness).exposedSince == nil }
    }
  }

  @Test func backupNowAnswersWhenTheStateOfNowIsStored() async throws {
    try await withAgent(AgentHarness.settings { ($0.debounce, $0.maxDelay) = (600_000, 600_000) }) { harness in
      for round in 1...10 {
        try await insert(1, harness)
        let answer = try await ask(ControlRequest(.backUpNow(waits: true)), harness)
        guard case .array(let databases)? = answer["databases"], case .object(let keys)? = databases.first,
          case .string(let text)? = keys["backup_id"], let id = PointID(text)
        else {
          Issue.record("\(answer)")
          return
        }
        #expect(try harness.rows.count(id, harness.engine) == Int64(round))
      }
    }
  }

  @Test func severalRequestsAtOnceAreAllAnswered() async throws {
    try await withAgent { harness in
      try await withThrowingTaskGroup(of: Bool.self) { group in
        for _ in 0..<ControlServer.mostWaiting {
          group.addTask { try await ask(ControlRequest(.backUpNow(waits: true)), harness)["databases"] != nil }
        }
        for try await isAnswered in group { #expect(isAnswered) }
      }
    }
  }

  @Test func aFailedBackupIsTheAnswer() async throws {
    try await withAgent { harness in
      try SystemFileOperations().unlink(harness.database)
      await #expect(throws: HoldfastError.self) {
        let answer = try await ask(ControlRequest(.backUpNow(waits: true)), harness)
        guard case .array(let databases)? = answer["databases"], case .object(let keys)? = databases.first,
          let error = HoldfastError(controlJSON: keys["error"])
        else { return }
        #expect(error.code == .databaseMissing)
        throw error
      }
    }
  }

  @Test func aPauseHoldsBackupsUntilItsEnd() async throws {
    try await withAgent { harness in
      _ = try await ask(ControlRequest(.pause(milliseconds: 600_000)), harness)
      try await insert(5, harness)
      try await harness.eventually("a pending change") { try await facts(harness).unprotectedSince != nil }
      let paused = try await facts(harness).pausedUntil
      #expect(paused != nil)
      #expect(try harness.newestRows() == 0)
      _ = try await ask(ControlRequest(.resume), harness)
      try await harness.waitForRows(5)
    }
  }

  @Test func aReloadReportsItsError() async throws {
    let refusal: @Sendable () throws -> AgentConfiguration = { throw HoldfastError(.usage, "a mistake in line 3") }
    try await withAgent(reload: refusal) { harness in
      await #expect(throws: HoldfastError.self) { try await ask(ControlRequest(.reload), harness) }
      // The agent goes on.
      try await harness.eventually("an agent without a pending change") {
        try await facts(harness).exposedSince == nil
      }
    }
  }

  @Test func aFollowerSeesDecisionsAndBackups() async throws {
    try await withAgent { harness in
      let events = try await offPool { [harness] in
        guard case .answering(var client) = try ControlClient.find(for: harness.engine) else { return [String]() }
        try client.send(ControlRequest(.follow))
        var events: [String] = []
        // The first backup may still be reported as stored after its file is there.
        while !(events.last == "stored" && events.contains("decision")), let event = try client.next(timeout: 20_000) {
          guard case .string(let kind)? = event["event"] else { continue }
          events.append(kind)
          if kind == "following" { harness.control.backUpNow() }
        }
        return events
      }
      #expect(events.first == "following" && events.contains("decision") && events.last == "stored", "\(events)")
    }
  }

  @Test func decisionsAreKeptAfterARestart() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    for _ in 0..<2 {
      try await harness.withAgent(harness.configuration(), parts: { $0.acceptsCommands = true }) { _ in
        try await harness.waitForPoints(1)
        // The line of the log that the harness waits for may be the first agent's.
        try await harness.eventually("an answer") { (try? await facts(harness)) != nil }
        _ = try await ask(ControlRequest(.backUpNow(waits: true)), harness)
      }
    }
    let entries = DecisionFile(harness.engine, harness.log.logger).load().entries
    #expect(entries.filter { $0.kind == "start manual" }.reduce(0) { $0 + $1.count } == 2, "\(entries)")
  }

  @Test func onlySocketsOfAgentsAreAsked() {
    #expect(ControlSocket.isOurs("/home/ann/.local/state/holdfast/agents/123-1f.sock"))
    for path in [
      "/run/docker.sock", "/run/agents/docker.sock", "agents/1-1.sock", "/agents/1-1.sock/x", "/s/agents/1-1-1.sock",
      "/s/agents/../agents/1-1.sock", "/s/agents/-1.sock", "/s/agents/1-zz.sock", "",
    ] {
      #expect(!ControlSocket.isOurs(path), "\(path)")
    }
  }

  @Test func withoutAnAgentThereIsNoAnswer() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    func presence() throws -> String {
      switch try ControlClient.find(for: harness.engine) {
      case .answering: "answering"
      case .silent: "silent"
      case .deaf: "deaf"
      case .gone: "gone"
      case .nobody: "nobody"
      }
    }
    #expect(try presence() == "nobody")
    try await harness.withAgent(harness.configuration()) { _ in
      try await harness.waitForPoints(1)
      #expect(try presence() == "deaf")
    }
    try await harness.withAgent(harness.configuration(), parts: { $0.acceptsCommands = true }) { _ in
      try await harness.eventually("an agent that answers") { try presence() == "answering" }
    }
    #expect(try presence() == "gone")
  }

  // MARK: Clients that are not ours

  @Test func silentAndHostileClientsBlockNothing() async throws {
    try await withAgent { harness in
      let path = try #require(
        try SystemFileOperations().list(harness.folder.path("state/agents")).first.map {
          harness.folder.path("state/agents/\($0)")
        })
      let owners: Set<uid_t> = []
      var silent: [Int32] = []
      defer { silent.forEach { close($0) } }
      // All places are taken by clients that say nothing, or half a line.
      for number in 0..<ControlServer.mostConnections {
        let descriptor = try #require(try ControlSocket.connect(to: path, owners: owners))
        if number % 2 == 0 { _ = write(descriptor, "{\"version\": 1", 13) }
        silent.append(descriptor)
      }
      // They lose their places, so an honest client gets its answer.
      let name = try await facts(harness).name
      #expect(name == "app")
      // Backups do not wait for any of them.
      try await insert(2, harness)
      try await harness.waitForRows(2)
    }
  }

  @Test func clientsThatFollowLeavePlacesForOthers() async throws {
    try await withAgent { harness in
      let name = try #require(try SystemFileOperations().list(harness.folder.path("state/agents")).first)
      var followers: [Int32] = []
      defer { followers.forEach { close($0) } }
      let line = ControlRequest(.follow).json.encodedLine()
      for _ in 0..<ControlServer.mostWaiting {
        let found = try ControlSocket.connect(to: harness.folder.path("state/agents/\(name)"), owners: [])
        let descriptor = try #require(found)
        followers.append(descriptor)
        #expect(write(descriptor, line, line.count) == line.count)
        try await harness.eventually("an answer") {
          var byte: UInt8 = 0
          return recv(descriptor, &byte, 1, Int32(MSG_PEEK | MSG_DONTWAIT)) == 1
        }
      }
      for request in [ControlRequest(.follow), ControlRequest(.backUpNow(waits: true))] {
        do {
          _ = try await ask(request, harness)
          Issue.record("\(request) has a place")
        } catch let error as HoldfastError {
          #expect(error.code == .busy && error.message.hasPrefix("\(ControlServer.mostWaiting) commands"), "\(error)")
        }
      }
      #expect(try await facts(harness).name == "app")
      close(followers.removeLast())
      try await harness.eventually("a free place") {
        (try? await ask(ControlRequest(.backUpNow(waits: true)), harness)) != nil
      }
    }
  }

  @Test func aSilentClientIsGivenUpSoonerIfOthersWait() {
    let connection = ControlConnection(id: 1, descriptor: -1, at: 1000)
    #expect(connection.deadline(isCrowded: false) == 6000 && connection.deadline(isCrowded: true) == 3000)
  }

  @Test(arguments: [
    "", "nonsense", "[]", "{}", "{\"version\": 2, \"command\": \"status\"}", "{\"version\": 1}",
    "{\"version\": 1, \"command\": \"remove_everything\"}", "{\"version\": 1, \"command\": 7}",
    "{\"version\": 1, \"command\": \"pause\", \"milliseconds\": -1}",
    "{\"version\": 1, \"command\": \"pause\", \"milliseconds\": 1e400}",
    "{\"version\": 1, \"command\": \"status\", \"database\": []}",
    "{\"version\": 1, \"command\": \"status\", \"database\": \"another\"}", "\u{0}\u{1}\u{202e}",
    String(repeating: "[", count: 16_000), String(repeating: "x", count: 40_000),
  ])
  func aRequestThatIsNoneIsAnsweredWithAnError(line: String) async throws {
    try await withAgent { harness in
      let answer = try await offPool { [harness] in
        let name = try SystemFileOperations().list(harness.folder.path("state/agents"))[0]
        let found = try ControlSocket.connect(to: harness.folder.path("state/agents/\(name)"), owners: [])
        let descriptor = try #require(found)
        defer { close(descriptor) }
        let bytes = Array((line + "\n").utf8)
        var sent = 0
        while sent < bytes.count {
          let count = bytes[sent...].withUnsafeBytes {
            send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
          }
          if count < 0, errno == EAGAIN { usleep(1000) } else if count <= 0 { break } else { sent += count }
        }
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
          let count = read(descriptor, &buffer, buffer.count)
          if count < 0, errno == EAGAIN { usleep(1000) } else if count <= 0 { return answer }
          if count > 0 { answer += buffer[..<count] }
        }
      }
      guard case .object(let keys)? = JSONValue(parsing: answer) else {
        Issue.record("\(String(decoding: answer, as: UTF8.self))")
        return
      }
      #expect(HoldfastError(controlJSON: keys["error"])?.code == .usage)
    }
  }
}
