import ArgumentParser
import BackupEngine
import BackupPolicy
import Names
import Notifications
import Wording

/// `holdfast notify`
struct Notify: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Try the channels of messages about alarms.",
    discussion: """
      Examples:
        holdfast notify test
        holdfast notify test ops
      """,
    subcommands: [NotifyTest.self])
}

/// `holdfast notify test`
struct NotifyTest: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "test",
    abstract: "Send a failure, a recovery and a report, and show the answers.",
    discussion: """
      The messages are marked as a test, and each is sent once. If a channel does not accept one, the exit code \
      is 1. The agent need not run.

      Examples:
        holdfast notify test
        holdfast notify test ops --json
      """)

  @Argument(help: "The name of a channel (default: all).")
  var name: String?

  @OptionGroup(title: "Common options") var options: ServiceOptions

  func run() throws {
    let configuration = try options.configuration()
    let channels = try channels(configuration)
    let facts = try self.facts(configuration)
    let zone = try configuration.settings().zone()
    let trial = ChannelTrial(facts: facts, zone: zone)
    let results = channels.map { trial.run($0) }
    try options.console.show(
      .object(["channels": .array(results.map(\.json))]), results.flatMap { $0.lines(quiet: options.output.quiet) })
    if results.contains(where: \.hasFailed) { throw ExitCode(HoldfastError.Code.failed.exitCode) }
  }

  private func channels(_ configuration: Configuration) throws -> [Channel] {
    let all = try configuration.notifications().channels
    guard !all.isEmpty else {
      throw HoldfastError(
        .usage, "no channel is configured", hint: "write a [[notify]] table into holdfast.toml")
    }
    guard let name else { return all }
    let chosen = all.filter { $0.name.isExactly(name) }
    guard chosen.isEmpty else { return chosen }
    throw HoldfastError(
      .usage, "there is no channel \(name.shortened)",
      hint: "the names are: \(all.map(\.name).joined(separator: ", "))")
  }

  /// The present state, if databases are configured.
  private func facts(_ configuration: Configuration) throws -> [StateFacts] {
    let agents = AgentAnswers()
    return try options.selections(in: configuration).filter { $0.databasePath != nil }.map {
      try DatabaseFacts($0, agents).facts
    }
  }
}

/// Sends one message of each kind through a channel.
private struct ChannelTrial {
  struct Result {
    struct Message {
      var kind: Notice.Kind
      var answer: Swift.Result<String, HoldfastError>
    }

    var channel: Channel
    var messages: [Message]

    var hasFailed: Bool { messages.contains { if case .failure = $0.answer { true } else { false } } }

    func lines(quiet: Bool) -> [String] {
      let title = "\(channel.name) (\(channel.type), \(channel.place))".printable
      return (quiet ? [] : [title])
        + messages.flatMap { message in
          switch message.answer {
          case .success(let text): quiet ? [] : ["  ✓ \(message.kind.words): \(text.printable)"]
          case .failure(let error):
            ["  ✗ \(message.kind.words): \(error.message.printable)"]
              + (error.hint.map { ["    → \($0.printable)"] } ?? [])
          }
        }
    }

    var json: JSONValue {
      .object([
        "name": .string(channel.name), "type": .string(channel.type), "place": .string(channel.place),
        "messages": .array(
          messages.map { message in
            switch message.answer {
            case .success(let text):
              .object(["kind": .string(message.kind.rawValue), "accepted": .bool(true), "answer": .string(text)])
            case .failure(let error):
              .object([
                "kind": .string(message.kind.rawValue), "accepted": .bool(false), "error": ErrorReport.json(error),
              ])
            }
          }),
      ])
    }
  }

  let facts: [StateFacts]
  let zone: ZoneRules

  /// Ends with the first message that is not accepted.
  func run(_ channel: Channel) -> Result {
    let delivery = Delivery(Progress())
    var result = Result(channel: channel, messages: [])
    var thread: String?
    for kind in [Notice.Kind.alarm, .recovery, .report] where !result.hasFailed {
      do {
        let message = try ChannelMessage(
          notice(kind, thread: thread), facts, isTest: true, host: SystemClock.hostName(), at: SystemClock.now(),
          in: zone)
        let answer = try delivery.deliverOnce(message, through: channel)
        result.messages.append(Result.Message(kind: kind, answer: .success(answer)))
        thread = thread ?? message.id
      } catch {
        result.messages.append(Result.Message(kind: kind, answer: .failure(GuardResult.error(error))))
      }
    }
    return result
  }

  private func notice(_ kind: Notice.Kind, thread: String?) -> Notice {
    let alarm = OpenAlarm(
      OpenAlarm.Key(database: facts.first?.name, kind: "test"), since: SystemClock.now(),
      message: "this is how an alarm reads", hint: "the next action is here")
    switch kind {
    case .recovery: return Notice(kind, over: [alarm], thread: thread)
    case .report: return Notice(kind)
    case .alarm, .change, .reminder: return Notice(kind, open: [alarm], new: [alarm.key], thread: thread)
    }
  }
}

extension Notice.Kind {
  fileprivate var words: String { self == .alarm ? "failure" : rawValue }
}

extension Configuration {
  /// Whether each channel can be used, without a message.
  func channelFindings() -> [Finding] {
    let zone = (try? settings().zone()) ?? .utc
    let list = ChannelList(file?.channels ?? [], zone: zone, folders: folders)
    let mistakes = list.problems.map { Finding("channels", .problem, $0.message, advice: $0.hint) }
    return mistakes
      + list.channels.map { configured in
        let subject = "channel \(configured.channel.name)"
        let problems = ChannelExamination(configured, SystemFileOperations()).problems(folders)
        guard let problem = problems.first else {
          let place = "\(configured.channel.type), \(configured.channel.place)"
          return Finding(subject, .ok, "\(place); holdfast notify test \(configured.channel.name) tries it")
        }
        let level: Finding.Level = problem.severity == .error ? .problem : .warning
        return Finding(subject, level, problem.message, advice: problem.hint)
      }
  }
}
