import ArgumentParser
import BackupAgent
import BackupEngine
import BackupPolicy
import Names

/// `holdfast backup-now`
struct BackUpNow: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "backup-now",
    abstract: "Make the running agent back up now.",
    discussion: """
      The agent backs up whether or not it has seen a change, also in quiet hours and in a pause. With --wait the \
      command ends when the state of now is stored and on the disk.

      Examples:
        holdfast backup-now
        holdfast backup-now --database shop --wait
      """)

  @Flag(help: "Wait until the state of now is stored.")
  var wait = false

  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run() throws {
    try AgentDialogue(options: options).run(.backUpNow(waits: wait), waits: wait) { answer in
      answer.map { name, keys in
        switch keys["backup_id"] {
        case .string(let id)?:
          keys["stored"] == .bool(true) ? "\(name): stored \(id)" : "\(name): \(id) holds this state"
        default: "\(name): the backup begins"
        }
      }
    }
  }
}

/// `holdfast pause`
struct Pause: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make the running agent start no backup for some time.",
    discussion: """
      Changes stay pending, and scheduled runs are made up after the pause. The pause ends by itself, with \
      'holdfast resume', and with the agent, which makes its last backup all the same.

      Examples:
        holdfast pause --for 30min
        holdfast pause --for 2h --database shop
      """)

  @Option(
    name: .customLong("for"), help: ArgumentHelp("How long, at most 7d (default: 1h).", valueName: "span"))
  var span: String = "1h"

  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run() throws {
    guard let span = TimeSpan(argument: span), (1...ControlRequest.longestPause).contains(span.milliseconds) else {
      throw HoldfastError(
        .usage, "--for is \(span.shortened), which is not a time span up to 7d",
        hint: "use a number and a unit: 30min, 2h, 1d")
    }
    try AgentDialogue(options: options).run(.pause(milliseconds: span.milliseconds)) { answer in
      answer.map { name, keys in
        guard case .string(let text)? = keys["paused_until"], let end = Timestamp(iso8601: text) else { return name }
        return "\(name): paused until \(AgentDialogue.zone(options).stamp(end))"
      }
    }
  }
}

/// `holdfast resume`
struct Resume: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "End a pause of the running agent.",
    discussion: """
      Examples:
        holdfast resume
      """)

  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run() throws {
    try AgentDialogue(options: options).run(.resume) { $0.map { name, _ in "\(name): not paused" } }
  }
}

/// `holdfast reload`
struct Reload: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make the running agent read its configuration again.",
    discussion: """
      The command ends when the new settings are in force. If they have a mistake, it tells the mistake, and the agent \
      goes on with the old ones.

      Examples:
        holdfast reload
      """)

  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run() throws {
    try AgentDialogue(options: options).reload()
  }
}

/// `holdfast follow`
struct Follow: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Print each event of the running agent as it happens.",
    discussion: """
      Each decision, each stored backup, and each alarm is a line, until Ctrl-C or the end of the agent. With --json \
      each is a JSON object on a line of its own.

      Examples:
        holdfast follow
        holdfast follow --database shop --json
      """)

  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run() throws {
    try AgentDialogue(options: options).follow()
  }
}
