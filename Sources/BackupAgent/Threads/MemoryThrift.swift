import CShims

/// Keeps the memory of an agent small that sleeps most of the time. For a process of our own: it concerns all of it.
struct MemoryThrift {
  /// Nothing is worth a trim before the agent means to sleep for so long, in milliseconds.
  private static let shortestSleep: Int64 = 3000

  private var hasWorked = false
  private var hasStarted = false

  /// To be called before other threads allocate much.
  init() {
    cshims_keep_heap_small()
  }

  mutating func noteWork() { hasWorked = true }

  /// Gives back what work has left, where the sleep that follows is long.
  mutating func sleeps(from now: Int64, until deadline: Int64?) {
    guard hasWorked, deadline.map({ $0 - now >= Self.shortestSleep }) ?? true else { return }
    hasWorked = false
    cshims_trim_heap()
    // Parsing options and settings up is done once; its code would stay resident for ever.
    guard !hasStarted else { return }
    hasStarted = true
    cshims_drop_code()
  }
}
