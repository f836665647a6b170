import BackupEngine
import BackupPolicy

/// Tells the clients that follow about events of all databases. Belongs to the loop's thread. Without
/// a client an event costs nothing.
final class EventFeed {
  private struct Follower {
    var reply: ControlReply
    /// The name of the database; nil for all.
    var database: String?
  }

  private var followers: [Follower] = []
  private let clock: LoopClock

  init(_ clock: LoopClock) { self.clock = clock }

  func add(_ reply: ControlReply, database: String?) {
    followers.append(Follower(reply: reply, database: database))
    // The client knows now that it will miss nothing.
    reply.send(["event": .string("following"), "time": .string(clock.now.iso8601)], isLast: false)
  }

  func remove(_ id: Int) { followers.removeAll { $0.reply.id == id } }

  /// - Parameters:
  ///   - event: the kind, which scripts may rely on.
  ///   - details: made only if somebody follows.
  func publish(_ event: String, of database: String, _ details: @autoclosure () -> JSONObject) {
    let interested = followers.filter { $0.database?.isExactly(database) ?? true }
    guard !interested.isEmpty else { return }
    let answer = details().merging([
      "event": .string(event), "database": .string(database), "time": .string(clock.now.iso8601),
    ])
    for follower in interested { follower.reply.send(answer, isLast: false) }
  }
}
