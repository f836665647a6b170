import Synchronization
import Transfer

/// Keys of an account of S3.
package struct StoreCredentials: Sendable, Hashable {
  package var keyID: String
  package var secret: Secret
  package var sessionToken: Secret?
  /// Milliseconds since the epoch; nil if they do not expire.
  package var expires: Int64?
  /// The provider, for messages.
  package var source: String

  package init(keyID: String, secret: Secret, sessionToken: Secret? = nil, expires: Int64? = nil, source: String) {
    (self.keyID, self.secret, self.sessionToken) = (keyID, secret, sessionToken)
    (self.expires, self.source) = (expires, source)
  }
}

/// A place that may have credentials.
package protocol CredentialProvider: Sendable {
  /// For messages, such as "environment".
  var name: String { get }

  /// Returns nil if nothing is configured here, so that the next provider is asked. Throws if
  /// something is configured and does not work: then no other is asked, because the requests would
  /// go out under another identity.
  func fetch(now: Int64) throws(StoreError) -> StoreCredentials?
}

/// Where a store gets the credentials of each request.
package protocol CredentialSource: Sendable {
  /// - Parameter now: milliseconds since the epoch.
  func current(now: Int64) throws(StoreError) -> StoreCredentials

  /// Forgets the present credentials, because the store refused them.
  func invalidate(_ credentials: StoreCredentials)
}

/// Asks providers in order and keeps the first answer until it is about to expire.
package final class CredentialChain: CredentialSource {
  /// The last answer.
  private struct Kept {
    var credentials: StoreCredentials
    /// When to ask again, milliseconds since the epoch; nil for never.
    var due: Int64?
  }

  private let providers: [any CredentialProvider]
  private let kept = Mutex<Kept?>(nil)

  /// How long before the end new credentials are fetched, so that a request never carries expired ones
  /// and a provider that fails for a moment does no harm. Of short-lived ones, it is a quarter of the
  /// time that is left when they are fetched.
  private static let refreshAhead: Int64 = 5 * 60_000
  /// If they are expired when they are fetched, this machine's clock may be wrong. Nothing is asked more
  /// often.
  private static let leastPause: Int64 = 10_000

  package init(_ providers: [any CredentialProvider]) { self.providers = providers }

  /// Blocks while a provider is asked; other threads wait for the same answer.
  package func current(now: Int64) throws(StoreError) -> StoreCredentials {
    let result = kept.withLock { kept -> Result<StoreCredentials, StoreError> in
      if let kept, kept.due.map({ now < $0 }) ?? true { return .success(kept.credentials) }
      do throws(StoreError) {
        let fetched = try fetch(now)
        kept = Kept(credentials: fetched, due: fetched.expires.map { Self.due(now, expires: $0) })
        return .success(fetched)
      } catch {
        // A provider may fail for a moment; until they expire, the old ones are good.
        guard let old = kept, let expires = old.credentials.expires, now < expires else { return .failure(error) }
        kept?.due = min(expires, Self.due(now, expires: expires))
        return .success(old.credentials)
      }
    }
    return try result.get()
  }

  private static func due(_ now: Int64, expires: Int64) -> Int64 {
    let life = expires - now
    return life <= 0 ? now + leastPause : expires - min(refreshAhead, life / 4)
  }

  package func invalidate(_ credentials: StoreCredentials) {
    kept.withLock { if $0?.credentials == credentials { $0 = nil } }
  }

  private func fetch(_ now: Int64) throws(StoreError) -> StoreCredentials {
    for provider in providers {
      if let credentials = try provider.fetch(now: now) { return credentials }
    }
    let names = providers.map(\.name).joined(separator: ", ")
    throw StoreError(.noCredentials, "no credentials for the store were found (asked: \(names))")
  }
}

extension CredentialChain {
  /// The order of AWS's own tools, after the file of the target; see
  /// https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
  package convenience init(
    file: String? = nil, surroundings: CredentialSurroundings, client: any HTTPClient
  ) {
    var providers: [any CredentialProvider] = []
    if let file { providers.append(FileCredentials(path: file, surroundings: surroundings)) }
    providers += [
      EnvironmentCredentials(surroundings: surroundings),
      WebIdentityCredentials(surroundings: surroundings, client: client),
      ProfileCredentials(surroundings: surroundings),
      ContainerCredentials(surroundings: surroundings, client: client),
      InstanceCredentials(surroundings: surroundings, client: client),
    ]
    self.init(providers)
  }
}
