import Synchronization
import TestSupport
import Transfer

@testable import ObjectStorage

/// Keys that never change.
struct FixedCredentials: CredentialSource {
  var credentials = StoreCredentials(keyID: "testing", secret: Secret("testing"), source: "test")
  func current(now: Int64) throws(StoreError) -> StoreCredentials { credentials }
  func invalidate(_ credentials: StoreCredentials) {}
}

/// Stores of the moto server; each test has its own bucket.
enum Moto {
  private static let buckets = Atomic<Int>(0)

  static func url() throws -> String { try MotoServer.url() }

  /// A store in a new bucket.
  static func store(
    client: any HTTPClient = SocketClient(), options: String = "", settings: S3Settings = small, locks: Bool = false
  ) throws -> S3Store {
    let bucket = "bucket-\(buckets.add(1, ordering: .relaxed).newValue)"
    let url = try StoreURL("s3://\(bucket)/some%20prefix/x?endpoint=\(try url())&region=us-east-1\(options)")
    guard case .s3(let location) = url else { preconditionFailure("not a bucket") }
    let exchange = S3Exchange(location, credentials: FixedCredentials(), client: SocketClient(), settings: settings)
    var request = S3Request(action: "cannot create the bucket", method: .put)
    if locks { request.headers = [("x-amz-bucket-object-lock-enabled", "true")] }
    _ = try exchange.perform(request)
    return S3Store(location, credentials: FixedCredentials(), client: client, settings: settings)
  }

  /// Makes a setting of the store's bucket.
  static func configure(_ store: S3Store, _ name: String, _ xml: String) throws {
    let exchange = S3Exchange(
      store.location, credentials: FixedCredentials(), client: SocketClient(), settings: small)
    var request = S3Request(action: "cannot make the \(name)", method: .put, query: [(name, "")])
    let content = ObjectContent(Array(xml.utf8))
    try request.setBody(content, 0..<content.length, md5: true)
    _ = try exchange.perform(request)
  }

  /// Parts of 1,000 bytes, one after the other.
  static var small: S3Settings {
    var settings = S3Settings()
    settings.multipartThreshold = 3000
    settings.partSize = 1000
    settings.parallelParts = 1
    return settings
  }
}
