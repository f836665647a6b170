import BackupEngine
import BackupPolicy
import Logging

/// The journal of decisions in the repository's `.state/decisions.json`. Only the agent that holds
/// `agent.lock` writes it.
///
/// If the file is lost or torn, `status --why` knows less; nothing else depends on it.
package struct DecisionFile: Sendable {
  private static let name = ".state/decisions.json"
  private static let largest = 4 << 20
  private let engine: Engine
  private let logger: Logger

  package init(_ engine: Engine, _ logger: Logger) { (self.engine, self.logger) = (engine, logger) }

  /// An empty journal if the file is missing or unusable.
  package func load() -> DecisionJournal {
    let path = "\(engine.folder)/\(Self.name)"
    guard let bytes = (try? engine.environment.files.contents(path, limit: Self.largest)).flatMap({ $0 }) else {
      return DecisionJournal()
    }
    return DecisionJournal(JSONValue(parsing: bytes)) ?? DecisionJournal()
  }

  /// Writes the journal without a flush. A failure is only logged: a backup folder that cannot be
  /// written has an alarm of its own.
  func save(_ journal: DecisionJournal) {
    do {
      // A repository that does not exist yet is not created for the sake of its journal.
      guard try engine.environment.files.status("\(engine.folder)/.state") != nil else { return }
      let repository = try engine.repository()
      let (path, temporary) = (repository.path(Self.name), repository.path(Self.name + ".new"))
      let files = repository.files
      try files.unlink(temporary)
      let file = try files.open(temporary, .createNew)
      defer { files.close(file) }
      try journal.json.encodedLine().withUnsafeBytes { try files.write(file, $0, at: 0) }
      try files.rename(temporary, to: path)
    } catch {
      logger.debug("the journal of decisions is not saved: \(error)")
    }
  }
}
