import BackupEngine
import BackupPolicy
import Synchronization

/// What a scheduler and the agent that it runs share. Safe from any thread.
final class SchedulerState: Sendable {
  private struct Content {
    var configuration: BackupSchedulerConfiguration
    var plan: SchedulerPlan?
    var control: AgentControl?
  }

  let service: BackupService
  private let content: Mutex<Content>

  init(_ service: BackupService, _ configuration: BackupSchedulerConfiguration) {
    self.service = service
    content = Mutex(Content(configuration: configuration))
  }

  var configuration: BackupSchedulerConfiguration { content.withLock { $0.configuration } }
  /// The agent that runs now.
  var control: AgentControl? { content.withLock { $0.control } }
  /// What the agent goes by; nil where none runs.
  var plan: SchedulerPlan? { content.withLock { $0.control == nil ? nil : $0.plan } }

  /// Takes the place of the one agent.
  ///
  /// - Throws: `usage` for a configuration that makes no sense; `refused` where an agent runs already.
  func begin(_ control: AgentControl) throws {
    let plan = try SchedulerPlan(configuration)
    try content.withLock { content in
      guard content.control == nil else { throw HoldfastError(.refused, "the scheduler is running already") }
      content.control = control
      content.plan = plan
    }
  }

  func end(_ control: AgentControl) {
    content.withLock { if $0.control === control { $0.control = nil } }
  }

  /// - Throws: `usage` for a schedule that makes no sense; nothing is changed then.
  func replaceSchedule(_ schedule: String?) throws {
    var configuration = configuration
    configuration.schedule = schedule
    let plan = try SchedulerPlan(configuration)
    let control = content.withLock { content in
      content.configuration.schedule = schedule
      content.plan = plan
      return content.control
    }
    control?.reload()
  }

  /// What the agent is told, when it starts and when it reads its configuration again.
  func agentConfiguration() throws -> AgentConfiguration {
    try (plan ?? SchedulerPlan(configuration)).agentConfiguration(service)
  }
}
