/// What other threads tell the event loop.
enum LoopMessage: Sendable {
  case finished(JobResult)
  /// A person wants a backup: of every database, or of the one of that name.
  case backUp(String?)
  /// Read the configuration again.
  case reload
  case status(CheckedContinuation<[DatabaseStatus], Never>)
  /// Finish what is running, then stop.
  case shutdown
  /// Abandon what is running, and stop.
  case cancel
}
