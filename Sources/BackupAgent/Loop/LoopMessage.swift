/// What other threads tell the event loop.
indirect enum LoopMessage: Sendable {
  /// A worker is free again, and this is what it did.
  case done(worker: Int, of: WorkerPool.Kind, LoopMessage)
  case finished(GuardID, JobResult)
  case keptHouse(GuardID, HousekeepingResult)
  case drilled(GuardID, DrillResult)
  /// What is wrong with the key; nil if nothing is.
  case keyChecked(GuardID, HoldfastError?)
  /// A backup reads the database, or has read all of it.
  case reading(GuardID, began: Bool)
  /// A person wants a backup: of every database, or of the one of that name.
  case backUp(String?)
  /// Read the configuration again.
  case reload
  case reloaded(Result<AgentConfiguration, any Error>)
  /// What a look for new matches of the patterns found.
  case patternsSeen(PatternLook)
  case status(CheckedContinuation<[DatabaseStatus], Never>)
  /// The wall clock was set.
  case clockSet
  /// Finish what is running, then stop.
  case shutdown
  /// Abandon what is running, and stop.
  case cancel
}
