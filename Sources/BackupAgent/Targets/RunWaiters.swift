import BackupEngine
import BackupPolicy
import ObjectStorage
import Replication

/// The commands that wait for the end of a run for one target. Belongs to the loop's thread.
struct RunWaiters {
  /// - isCovered: a run has begun since the request.
  private var waiting: [(reply: ControlReply, isCovered: Bool)] = []

  mutating func add(_ reply: ControlReply) { waiting.append((reply, false)) }

  mutating func forget(_ id: Int) { waiting.removeAll { $0.reply.id == id } }

  /// A run begins.
  ///
  /// - Returns: whether a command waits for it.
  mutating func begin() -> Bool {
    for index in waiting.indices { waiting[index].isCovered = true }
    return !waiting.isEmpty
  }

  /// A run has ended.
  mutating func answer(_ ending: Result<ReplicationOutcome?, any Error>, _ target: Target) {
    let covered = waiting.filter { $0.isCovered }
    waiting.removeAll { $0.isCovered }
    for (reply, _) in covered {
      switch ending {
      case .success(let outcome): reply.send(outcome.map(RunAnswer.json) ?? [:])
      case .failure(let error as StoreError): reply.send(error.error(at: target.name))
      case .failure(let error): reply.send(HoldfastError(wrapping: error))
      }
    }
  }

  /// No run follows.
  mutating func refuse(_ error: HoldfastError) {
    for (reply, _) in waiting { reply.send(error) }
    waiting = []
  }
}

/// The result of a run, as a command gets it from the agent.
package enum RunAnswer {
  static func json(_ outcome: ReplicationOutcome) -> JSONObject {
    let requests = outcome.requests
    return [
      "uploaded": names(outcome.put), "removed": names(outcome.removed), "sent_bytes": .integer(outcome.sentBytes),
      "puts": .integer(requests.puts), "gets": .integer(requests.gets), "lists": .integer(requests.lists),
      "deletes": .integer(requests.deletes), "obstacle": .optional(outcome.obstacle?.reason),
      "obstacle_kind": .optional(outcome.obstacle.map(kind)),
      "owed": .array(outcome.plan.owed.map { .string($0.text) }),
      "lost": .array(outcome.plan.lost.map { .string($0.text) }),
    ]
  }

  private static func names(_ names: [RemoteName]) -> JSONValue { .array(names.map { .string($0.text) }) }

  private static func kind(_ obstacle: ReplicationObstacle) -> String {
    switch obstacle {
    case .foreign: "foreign"
    case .takenOver: "taken_over"
    case .fullNeeded: "full_needed"
    }
  }

  /// Reads an answer. The plan of the outcome has no steps.
  package static func outcome(_ keys: JSONObject) -> ReplicationOutcome {
    var plan = ReplicationPlan()
    plan.owed = texts(keys["owed"]).compactMap { PointID($0) }
    plan.lost = texts(keys["lost"]).compactMap { PointID($0) }
    var outcome = ReplicationOutcome(plan: plan)
    outcome.put = texts(keys["uploaded"]).compactMap { RemoteName($0) }
    outcome.removed = texts(keys["removed"]).compactMap { RemoteName($0) }
    outcome.sentBytes = keys.integer("sent_bytes") ?? 0
    outcome.requests = RequestCount(
      puts: keys.integer("puts") ?? 0, gets: keys.integer("gets") ?? 0, lists: keys.integer("lists") ?? 0,
      deletes: keys.integer("deletes") ?? 0)
    if let reason = keys.text("obstacle") {
      switch keys.text("obstacle_kind") {
      case "taken_over": outcome.obstacle = .takenOver(reason)
      case "full_needed": outcome.obstacle = .fullNeeded
      default: outcome.obstacle = .foreign(reason)
      }
    }
    return outcome
  }

  private static func texts(_ value: JSONValue?) -> [String] {
    guard case .array(let items)? = value else { return [] }
    return items.compactMap { if case .string(let text) = $0 { text } else { nil } }
  }
}
