/// One HTTP request. The URL is complete and already percent-encoded; nothing in it is a secret.
package struct HTTPRequest: Sendable {
  package enum Method: String, Sendable {
    case get = "GET", head = "HEAD", put = "PUT", post = "POST", delete = "DELETE"
  }

  package var method: Method
  package var url: String
  /// In the order in which they are sent. `Content-Length` and `Host` follow from body and URL.
  package var headers: [(name: String, value: String)]
  package var body: HTTPBody
  /// Monotonic milliseconds from the start until the exchange fails as `timeout`; nil: no limit but the stall limit.
  package var timeout: Int64?
  /// Called on the loop's thread with the number of bytes of the body that the connection has taken;
  /// less than before if the body is sent again.
  package var sent: (@Sendable (Int64) -> Void)?

  package init(
    _ method: Method, _ url: String, headers: [(name: String, value: String)] = [], body: HTTPBody = .empty,
    timeout: Int64? = nil
  ) {
    (self.method, self.url, self.headers, self.body, self.timeout) = (method, url, headers, body, timeout)
  }
}

/// The body of a request. Its length is known before the first byte is sent.
package enum HTTPBody: Sendable {
  case empty
  case bytes([UInt8])
  /// A range of an open file, read with `pread`, so that its position does not matter. The caller keeps it open.
  case file(descriptor: Int32, offset: Int64, length: Int64)
}

/// Where the body of a response goes if its status is 2xx. Other bodies are kept in memory, at most 64 KiB.
package enum HTTPSink: Sendable {
  /// Longer bodies fail as `tooLarge`.
  case memory(limit: Int)
  /// Written with `pwrite` from the offset on, at most `limit` bytes: longer bodies fail as `tooLarge`.
  /// The caller keeps it open.
  case file(descriptor: Int32, offset: Int64, limit: Int64)
}

extension HTTPSink {
  /// The largest number of bytes that it takes.
  package var limit: Int64 {
    switch self {
    case .memory(let limit): Int64(limit)
    case .file(_, _, let limit): limit
    }
  }
}

/// An answer of a server, of any status.
package struct HTTPResponse: Sendable {
  package var status: Int
  package var headers: [(name: String, value: String)]
  /// The body, if it went to memory.
  package var body: [UInt8]
  /// Bytes of the body that arrived.
  package var received: Int64

  package init(status: Int, headers: [(name: String, value: String)] = [], body: [UInt8] = [], received: Int64 = 0) {
    (self.status, self.headers, self.body, self.received) = (status, headers, body, received)
  }
}

/// Why an exchange brought no complete answer.
package struct TransferError: Error, Sendable {
  package enum Kind: Sendable {
    /// The host name has no address.
    case resolve
    case connect
    /// The certificate is not trusted, or no common version or cipher exists.
    case tls
    /// The connection ended before the answer was complete.
    case interrupted
    /// No byte moved for the stall limit, or the time limit was reached.
    case timeout
    case tooLarge
    /// The transfer loop was stopped.
    case cancelled
    /// The local file could not be read or written.
    case localFile(errno: Int32)
    case other
  }
  package let kind: Kind
  /// For people, without secrets.
  package let message: String
  /// Bytes of the body of a 2xx answer that are in the sink, from its start on. A file has them, so
  /// that a request for the rest can follow.
  package var received: Int64 = 0

  package init(_ kind: Kind, _ message: String) { (self.kind, self.message) = (kind, message) }
}

/// Whatever performs an exchange; blocks the calling thread until the answer is complete.
package protocol HTTPClient: Sendable {
  func perform(_ request: HTTPRequest, into sink: HTTPSink) throws(TransferError) -> HTTPResponse
}
