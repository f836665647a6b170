import Synchronization

/// Adds up the bytes of the parts of one upload.
final class UploadMeter: Sendable {
  private struct State {
    var total: Int64
    var parts: [Int: Int64] = [:]
  }

  private let state: Mutex<State>
  private let report: (@Sendable (Int64) -> Bool)?

  /// - Parameters:
  ///   - finished: the parts that the store has from an earlier run.
  ///   - report: as in ``PutOptions/sent``.
  init(_ finished: [ListingXML.Part], _ report: (@Sendable (Int64) -> Bool)?) {
    self.report = report
    state = Mutex(State(total: finished.reduce(0) { $0 + $1.size }))
  }

  /// - Parameter sent: the bytes of this part that the connection has taken.
  func record(_ part: Int, _ sent: Int64) {
    guard let report else { return }
    let total = state.withLock { state in
      state.total += sent - (state.parts[part] ?? 0)
      state.parts[part] = sent
      return state.total
    }
    _ = report(total)
  }
}
