import CShims
import Names
import Transfer

/// Why a call of a store failed. Its message is for people and contains no secrets.
package struct StoreError: Error, Sendable, CustomStringConvertible {
  package enum Kind: Sendable, Hashable {
    /// There is no such object.
    case missing
    /// There is no such bucket, or the folder of the store is not there.
    case noContainer
    /// The key is taken, and the call asked to create it.
    case exists
    /// The store refuses because of another request at the same time.
    case conflict
    case denied
    /// The credentials are not valid any more, or not yet.
    case expired
    /// No credentials were found.
    case noCredentials
    /// This machine's clock differs too much from the store's.
    case clockSkew
    /// The bucket is in another region; its name, if the store reported it.
    case wrongRegion(String?)
    case throttled
    /// The store has a failure of its own (5xx).
    case unavailable
    case unreachable
    /// The certificate of the store is not trusted.
    case untrusted
    /// The bytes that arrived are not those that the request announced.
    case damaged
    /// The content to store is not the one of its digest any more.
    case changed
    /// A quota or a disk is full.
    case full
    /// The store does not know the operation or a header.
    case unsupported
    /// A range is behind the end of the object.
    case outOfRange
    /// The request breaks a rule: a key that is not allowed.
    case invalid
    /// The answer is not what the protocol defines.
    case malformed
    /// The answer has more bytes than the caller expects.
    case tooLarge
    case cancelled
    /// A local file could not be read or written.
    case local(errno: Int32)
    case other
  }

  package let kind: Kind
  package private(set) var message: String
  /// Of the HTTP answer, if there was one.
  package var status: Int?
  /// The store's own word, such as `SlowDown`.
  package var code: String?
  /// How long the store asks to wait, milliseconds.
  package var retryAfter: Int64?
  /// The store's clock at the answer, milliseconds since the epoch.
  package var serverTime: Int64?
  /// Bytes of an object that are in the caller's sink, from its start on, if a fetch ended early.
  package var received: Int64 = 0

  package init(_ kind: Kind, _ message: String) { (self.kind, self.message) = (kind, message) }

  package var description: String { message }

  /// The same with words for people in place of the key of an object.
  package func naming(_ key: String, _ words: String) -> StoreError {
    var error = self
    error.message = message.replacing(key.printable, with: words)
    return error
  }
}

extension StoreError {
  /// An error of a system call, for example "cannot write x: No space left on device".
  init(errno: Int32, _ action: String) {
    var text = [CChar](repeating: 0, count: 128)
    cshims_error_message(errno, &text, text.count)
    let reason = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    self.init(Self.kind(errno: errno), "\(action): \(reason)")
  }

  private static func kind(errno: Int32) -> Kind {
    switch errno {
    case 2: .missing  // ENOENT
    case 17: .exists  // EEXIST
    case 1, 13, 30: .denied  // EPERM, EACCES, EROFS
    case 28, 122: .full  // ENOSPC, EDQUOT
    case 36: .invalid  // ENAMETOOLONG
    case 23, 24: .unavailable  // ENFILE, EMFILE: another file is closed soon
    case 5, 110, 112, 113, 116: .unavailable  // EIO, ETIMEDOUT, EHOSTDOWN, EHOSTUNREACH, ESTALE
    default: .local(errno: errno)
    }
  }

  /// The failure of a transfer, before any answer was complete.
  init(_ error: TransferError, _ action: String) {
    let kind: Kind =
      switch error.kind {
      case .resolve, .connect, .interrupted, .timeout: .unreachable
      case .tls: .untrusted
      case .tooLarge: .tooLarge
      case .cancelled: .cancelled
      case .localFile(let errno): .local(errno: errno)
      case .other: .other
      }
    self.init(kind, "\(action): \(error.message.printable)")
    received = error.received
  }
}
