import CCurl

/// The exchanges that wait for the loop's thread, and the means to wake it up.
///
/// `@unchecked Sendable`: `monitor` guards all variables. The multi handle itself belongs to the
/// thread; others only wake it up, which libcurl allows, and only while it is published here.
final class TransferQueue: @unchecked Sendable {
  private let monitor = TransferMonitor()
  private var waiting: [Exchange] = []
  private var published: UnsafeMutableRawPointer?
  private var stopped = false

  var isStopped: Bool { monitor.locked { stopped } }

  /// Returns false if the loop was stopped.
  func add(_ exchange: Exchange) -> Bool {
    monitor.locked {
      guard !stopped else { return false }
      waiting.append(exchange)
      wakeUp()
      return true
    }
  }

  func stop() {
    monitor.locked {
      stopped = true
      wakeUp()
    }
  }

  /// Removes and returns the exchanges, oldest first, that the thread has room for.
  func take(_ hasRoom: (Exchange) -> Bool) -> [Exchange] {
    monitor.locked {
      var taken: [Exchange] = []
      waiting.removeAll { exchange in
        guard hasRoom(exchange) else { return false }
        taken.append(exchange)
        return true
      }
      return taken
    }
  }

  /// Sleeps until there is an exchange or the loop is stopped. Returns false if the moment
  /// (nanoseconds; nil: never) is reached before.
  func waitForWork(until moment: Int64?) -> Bool {
    monitor.locked {
      while waiting.isEmpty && !stopped {
        if let moment {
          guard monitor.wait(until: moment) else { return false }
        } else {
          monitor.wait()
        }
      }
      return true
    }
  }

  /// Makes the handle known to threads that wake it up, or unknown before it is freed.
  func publish(_ multi: UnsafeMutableRawPointer?) {
    monitor.locked { published = multi }
  }

  /// The thread is either in the condition or in poll.
  private func wakeUp() {
    monitor.wakeAll()
    if let published { curl_multi_wakeup(published) }
  }
}
