/// What other threads tell the event loop.
enum LoopMessage: Sendable {
  case finished(JobResult)
  /// Finish what is running, then stop.
  case shutdown
  /// Abandon what is running, and stop.
  case cancel
}
