/// How exchanges reach one server. No setting turns the check of certificates off.
package struct TransferSettings: Sendable, Equatable {
  package enum Proxy: Sendable, Equatable {
    /// `https_proxy`, `http_proxy`, `all_proxy` and `no_proxy` of the environment.
    case environment
    case none
    /// A URL, which may contain a password. `except` lists hosts that are reached directly, as
    /// `no_proxy` does: names or addresses, separated by commas.
    case url(String, except: String)
  }

  /// The version that the server sees in `User-Agent: holdfast/VERSION`.
  package var version: String
  /// The largest number of exchanges with one server (scheme, host and port) at once; others wait.
  package var connections = 16
  /// A PEM file of the only trusted certificate authorities. If neither this nor ``caPath`` is set,
  /// the system's authorities are trusted.
  package var caFile: String?
  /// A folder of such files, prepared by `openssl rehash`.
  package var caPath: String?
  package var proxy = Proxy.environment
  /// Milliseconds to find the address, connect and agree on encryption.
  package var connectTimeout: Int64 = 15_000
  /// Milliseconds, rounded up to whole seconds. An exchange fails if no byte moves for this time.
  package var stallLimit: Int64 = 60_000
  /// Milliseconds to wait for `100 Continue` before a body of more than 1 MiB is sent anyway, so
  /// that a server can refuse a large body before it is sent; 0: send it at once.
  package var continueTimeout: Int64 = 1_000

  package init(version: String) { self.version = version }
}

/// The bandwidth of all exchanges of a loop together, in bytes a second; nil: unlimited.
package struct TransferLimits: Sendable, Equatable {
  package var upload: Int64?
  package var download: Int64?

  package init(upload: Int64? = nil, download: Int64? = nil) { (self.upload, self.download) = (upload, download) }
}
