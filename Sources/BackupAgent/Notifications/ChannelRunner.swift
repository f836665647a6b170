import BackupEngine
import BackupPolicy
import Logging
import Notifications
import Wording

/// Identifies a channel in messages to the loop; never reused.
struct ChannelID: Hashable, Sendable {
  var number: Int
}

/// One channel: its machine, and the thread that sends. Belongs to the loop's thread.
final class ChannelRunner {
  let id: ChannelID
  private(set) var channel: Channel
  private var machine: NotificationMachine
  private let file: NotificationFile
  private let delivery: Delivery
  private let environment: EngineEnvironment
  private let inbox: Mailbox<LoopMessage>
  private let logger: Logger
  /// The thread of the message that is on its way.
  private var thread: AgentThread?
  private var failure: HoldfastError?

  init(
    _ id: ChannelID, _ channel: Channel, _ file: NotificationFile, _ delivery: Delivery,
    _ environment: EngineEnvironment, _ inbox: Mailbox<LoopMessage>, at moment: Moment, _ logger: Logger
  ) {
    (self.id, self.channel, self.file, self.delivery) = (id, channel, file, delivery)
    (self.environment, self.inbox, self.logger) = (environment, inbox, logger)
    machine = NotificationMachine(channel.settings, file.load(), at: moment)
  }

  var deadline: Deadline { machine.deadline }

  /// - Parameter report: the state of now, if a message is to be sent.
  func receive(_ event: NotificationMachine.Event, at moment: Moment, _ report: () -> StateReport) {
    guard case .send(let notice) = machine.receive(event, at: moment) else { return }
    do {
      thread = try AgentThread("holdfast-alert") {
        [
          id, inbox, job = MessageJob(notice: notice, report: report(), channel: channel, environment: environment),
          delivery
        ] in
        inbox.post(.notified(id, Result { try job.run(delivery) }))
      }
    } catch {
      finish(.failure(error), at: moment, report)
    }
  }

  /// A message has been accepted, or not.
  func finish(_ result: Result<MessageJob.Receipt, any Error>, at moment: Moment, _ report: () -> StateReport) {
    join()
    switch result {
    case .success(let receipt):
      logger.info("\(channel.name): sent \(receipt.summary)")
      if failure != nil { logger.notice("messages by \(channel.name) are accepted again") }
      failure = nil
      receive(.delivered(id: receipt.id), at: moment, report)
    case .failure(let error):
      let known = HoldfastError(wrapping: error)
      if failure == nil {
        logger.error("a message by \(channel.name) was not accepted: \(known)")
      } else {
        logger.debug("still: \(known)")
      }
      failure = known
      receive(.failed, at: moment, report)
    }
    file.save(machine.memory, logger)
  }

  /// Records the end of a message for the next agent.
  func record(_ result: Result<MessageJob.Receipt, any Error>, at moment: Moment) {
    guard case .success(let receipt) = result else { return }
    _ = machine.receive(.delivered(id: receipt.id), at: moment)
    file.save(machine.memory, logger)
  }

  /// The alarm about this channel; nil if messages are accepted.
  var problem: HoldfastError? {
    failure.map { failure in
      HoldfastError(
        failure.code, "messages by \(channel.name) are not accepted: \(failure.message)",
        hint: failure.hint ?? "holdfast notify test \(channel.name) tries it again")
    }
  }

  /// Continues with new settings. The next message uses them.
  func update(_ channel: Channel, at moment: Moment, _ report: () -> StateReport) {
    self.channel = channel
    receive(.reload(channel.settings), at: moment, report)
  }

  /// Lets the thread end by itself.
  func release() {
    thread?.detach()
    thread = nil
  }

  /// Waits for the end of the thread, whose work has ended or has been stopped.
  func join() {
    thread?.join()
    thread = nil
  }
}

/// Finds the words of one message, and sends it. Runs on a thread of its own.
struct MessageJob: Sendable {
  struct Receipt: Sendable {
    var id: String
    var summary: String
  }

  var notice: Notice
  var report: StateReport
  var channel: Channel
  var environment: EngineEnvironment

  func run(_ delivery: Delivery) throws -> Receipt {
    let now = environment.now()
    let message = try ChannelMessage(
      notice, report.facts().map(\.facts), figures: notice.kind == .report ? report.figures(at: now) : [:],
      host: environment.host, at: now, in: channel.settings.zone)
    _ = try delivery.deliver(message, through: channel)
    return Receipt(id: message.id, summary: message.text.summary)
  }
}
