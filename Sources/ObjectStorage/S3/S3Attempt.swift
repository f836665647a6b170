/// One request as it was sent to a bucket, for counts.
package struct S3Attempt: Hashable, Sendable {
  package enum Operation: Hashable, Sendable {
    /// Also the start, each part and the end of an upload in parts.
    case put
    /// Also a look at an object.
    case get
    /// Also of unfinished uploads and their parts.
    case list
    case delete
  }

  package let operation: Operation
  /// Milliseconds until the answer was complete, or until it was known that none would come.
  package let duration: Int64
  /// Bytes in the body of a 2xx answer.
  package let received: Int64
  /// Why it failed, if it is sent again, at once or later.
  package let reasonToRepeat: StoreError.Kind?
}

extension S3Attempt {
  /// - Parameter start: when it was sent.
  init(
    _ request: S3Request, since start: SuspendingClock.Instant, received: Int64 = 0,
    reasonToRepeat: StoreError.Kind? = nil
  ) {
    operation = request.operation
    let (seconds, attoseconds) = (SuspendingClock.now - start).components
    duration = seconds * 1000 + attoseconds / 1_000_000_000_000_000
    (self.received, self.reasonToRepeat) = (received, reasonToRepeat)
  }
}

extension S3Request {
  fileprivate var operation: S3Attempt.Operation {
    switch method {
    case .put, .post: .put
    case .delete: .delete
    case .get where key == nil || query.contains(where: { $0.name == "uploadId" }): .list
    default: .get
    }
  }
}
