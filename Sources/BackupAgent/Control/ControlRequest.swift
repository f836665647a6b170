import BackupEngine
import BackupPolicy

/// What a command asks of a running agent, as one line of JSON.
///
/// ```json
/// {"command": "pause", "database": "app", "milliseconds": 3600000, "version": 1}
/// ```
///
/// Each answer is a line of JSON, too: `{"version": 1, "error": {…}}`, or an object with the result.
package struct ControlRequest: Hashable, Sendable {
  package enum Command: Hashable, Sendable {
    /// The state of each database, once.
    case status
    /// A backup of the state of now. With `waits` the answer comes when it is stored.
    case backUpNow(waits: Bool)
    /// A run for one target now, whatever it waits for. The answer comes when it has ended.
    case sync(target: String, address: String)
    case pause(milliseconds: Int64)
    case resume
    /// Read the configuration again. The answer comes when that has ended.
    case reload
    /// Events as they happen, one a line, until the client ends.
    case follow
    /// The decisions of the last week.
    case decisions

    /// Whether the client keeps its connection for as long as some work takes, or until it ends.
    var isLong: Bool {
      switch self {
      case .follow, .sync: true
      case .backUpNow(let waits): waits
      case .status, .pause, .resume, .reload, .decisions: false
      }
    }
  }

  /// The version of the protocol. A request with another version is refused.
  package static let version: Int64 = 1
  /// The longest line of a request, in bytes.
  static let longest = 16 << 10
  /// The longest pause: a week.
  package static let longestPause: Int64 = 7 * 86_400_000

  package var command: Command
  /// The name of a database, or its backup folder with links resolved; nil for all.
  package var database: String?

  package init(_ command: Command, database: String? = nil) { (self.command, self.database) = (command, database) }
}

extension ControlRequest {
  package var json: JSONValue {
    var keys: JSONObject = ["version": .integer(Self.version), "command": .string(name)]
    keys["database"] = database.map { .string($0) }
    switch command {
    case .backUpNow(let waits): keys["wait"] = .bool(waits)
    case .pause(let milliseconds): keys["milliseconds"] = .integer(milliseconds)
    case .sync(let target, let address):
      keys["target"] = .string(target)
      keys["address"] = .string(address)
    case .status, .resume, .reload, .follow, .decisions: break
    }
    return .object(keys)
  }

  private var name: String {
    switch command {
    case .status: "status"
    case .backUpNow: "backup_now"
    case .sync: "sync"
    case .pause: "pause"
    case .resume: "resume"
    case .reload: "reload"
    case .follow: "follow"
    case .decisions: "decisions"
    }
  }

  /// Reads a line from a client that need not be ours.
  ///
  /// - Throws: `HoldfastError` `usage`, with the problem.
  init(line: [UInt8]) throws {
    guard case .object(let keys)? = JSONValue(parsing: line) else {
      throw Self.error("the request is not a JSON object")
    }
    guard keys["version"] == .integer(Self.version) else {
      throw Self.error("this agent speaks version \(Self.version) of the protocol")
    }
    guard case .string(let name)? = keys["command"] else { throw Self.error("the request has no command") }
    database = try Self.text(keys["database"])
    switch name {
    case "status": command = .status
    case "backup_now": command = .backUpNow(waits: keys["wait"] == .bool(true))
    case "sync":
      guard let target = try Self.text(keys["target"]), let address = try Self.text(keys["address"]) else {
        throw Self.error("the request names no target")
      }
      command = .sync(target: target, address: address)
    case "pause": command = .pause(milliseconds: try Self.pause(keys["milliseconds"]))
    case "resume": command = .resume
    case "reload": command = .reload
    case "follow": command = .follow
    case "decisions": command = .decisions
    default: throw Self.error("there is no command \(name.shortened)")
    }
  }

  private static func text(_ value: JSONValue?) throws -> String? {
    switch value {
    case nil, .null: nil
    case .string(let text): text
    default: throw error("a name is not a text")
    }
  }

  private static func pause(_ value: JSONValue?) throws -> Int64 {
    guard case .integer(let milliseconds)? = value, (1...longestPause).contains(milliseconds) else {
      throw error("milliseconds is not a number from 1 to \(longestPause)")
    }
    return milliseconds
  }

  private static func error(_ message: String) -> HoldfastError { HoldfastError(.usage, message) }
}

/// The way back to the client of a request. Any thread may use it; if the client has ended, nothing
/// happens.
struct ControlReply: Sendable {
  /// Identifies the connection; never reused.
  let id: Int
  private let post: @Sendable (_ answer: JSONObject, _ isLast: Bool) -> Void

  init(id: Int, post: @escaping @Sendable (_ answer: JSONObject, _ isLast: Bool) -> Void) {
    (self.id, self.post) = (id, post)
  }

  /// - Parameter isLast: no other answer follows.
  func send(_ answer: JSONObject, isLast: Bool = true) {
    post(answer, isLast)
  }

  func send(_ error: HoldfastError) { send(["error": error.controlJSON]) }
}

extension HoldfastError {
  /// The error as an answer contains it.
  var controlJSON: JSONValue {
    .object(["code": .string(code.rawValue), "message": .string(message), "hint": .optional(hint)])
  }

  /// Reads an error from an answer.
  package init?(controlJSON value: JSONValue?) {
    guard case .object(let keys)? = value, case .string(let message)? = keys["message"] else { return nil }
    var code = Code.failed
    if case .string(let text)? = keys["code"] { code = Code(rawValue: text) ?? .failed }
    if case .string(let hint)? = keys["hint"] { self.init(code, message, hint: hint) } else { self.init(code, message) }
  }
}
