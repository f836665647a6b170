/// What the history of drills says, as far as decisions need it.
package struct DrillStanding: Hashable, Sendable {
  /// How the newest drill failed.
  package struct Failure: Hashable, Sendable {
    package var time: Timestamp
    /// Lower case, no full stop.
    package var words: String

    package init(time: Timestamp, words: String) {
      self.time = time
      self.words = words
    }
  }

  /// When the newest drill was made, whatever came of it.
  package var last: Timestamp?
  /// When the newest one was made that passed.
  package var lastPassed: Timestamp?
  /// Nil where the newest one passed, or where there was none.
  package var failure: Failure?
  /// The oldest point that there is: what has never been drilled grows old from there. Nil without any.
  package var oldestPoint: Timestamp?

  package init(
    last: Timestamp? = nil, lastPassed: Timestamp? = nil, failure: Failure? = nil, oldestPoint: Timestamp? = nil
  ) {
    self.last = last
    self.lastPassed = lastPassed
    self.failure = failure
    self.oldestPoint = oldestPoint
  }
}

/// What is wrong about the drills, in words.
package enum DrillConcern: Hashable, Sendable {
  /// The newest drill failed.
  case failed(String)
  /// Too long ago, or never.
  case tooOld(String)

  package var words: String {
    switch self {
    case .failed(let words), .tooOld(let words): words
    }
  }
}

extension DrillStanding {
  /// When the last drill that passed becomes, or became, too old; nil where there is nothing to drill.
  ///
  /// - Parameter maxAge: seconds.
  package func expiry(maxAge: Int64) -> Timestamp? {
    (lastPassed ?? oldestPoint)?.adding(seconds: maxAge)
  }

  /// What is wrong now.
  ///
  /// - Parameter maxAge: seconds after which a drill counts no more; nil: it always counts.
  package func concerns(maxAge: Int64?, now: Timestamp) -> [DrillConcern] {
    var concerns: [DrillConcern] = []
    if let failure { concerns.append(.failed("the last drill failed: \(failure.words)")) }
    if let maxAge, let expiry = expiry(maxAge: maxAge), expiry <= now {
      let limit = Words.duration(seconds: maxAge)
      concerns.append(
        .tooOld(
          lastPassed.map { "no drill has passed since \($0.iso8601), which is more than \(limit) ago" }
            ?? "no drill has ever passed, and there are backups for more than \(limit)"))
    }
    return concerns
  }
}
