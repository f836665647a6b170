import TestSupport
import Transfer

@testable import ObjectStorage

/// Stores in OpenStack Swift, each in a bucket of its own.
enum SwiftStore {
  /// - Parameters:
  ///   - endpoint: nil for the server itself.
  ///   - secret: nil for the right one.
  static func store(
    endpoint: String? = nil, secret: String? = nil, bucket: String? = nil, client: any HTTPClient = SocketClient(),
    settings: S3Settings = Moto.small
  ) throws -> S3Store {
    let bucket = try bucket ?? SwiftServer.makeBucket()
    let address = try "s3://\(bucket)/some%20prefix/x?endpoint=\(endpoint ?? SwiftServer.url())&region=us-east-1"
    guard case .s3(let location) = try StoreURL(address) else { preconditionFailure("not a bucket") }
    let credentials = StoreCredentials(
      keyID: try SwiftServer.keyID(), secret: Secret(try secret ?? SwiftServer.secret()), source: "test")
    return S3Store(
      location, credentials: FixedCredentials(credentials: credentials), client: client, settings: settings)
  }
}
