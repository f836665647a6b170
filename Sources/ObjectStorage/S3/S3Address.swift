import Names

/// Where a bucket is on the network.
///
/// https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
struct S3Address {
  let scheme: String
  let host: String
  private let bucketInPath: String?
  /// Headers that one service needs.
  let extraHeaders: [(name: String, value: String)]

  init(_ location: S3Location, region: String) {
    let service = location.endpoint?.authority ?? "s3.\(region).amazonaws.com" + (region.hasPrefix("cn-") ? ".cn" : "")
    scheme = location.endpoint?.isSecure == false ? "http" : "https"
    // Certificates of AWS cover one label before the service, so a bucket with dots is in the path.
    let pathStyle = location.pathStyle ?? (location.endpoint != nil || location.bucket.contains("."))
    host = pathStyle ? service : "\(location.bucket).\(service)"
    bucketInPath = pathStyle ? location.bucket : nil
    // Without it, reads in another region than the write may be stale (tigrisdata.com/docs/objects/consistency).
    let isTigris = ["tigris.dev", "t3.storage.dev"].contains { location.endpoint?.host.hasSuffix($0) == true }
    extraHeaders = isTigris ? [("X-Tigris-Consistent", "true")] : []
  }

  func path(_ key: String?) -> String {
    "/"
      + [bucketInPath, key.map { PercentEncoding.encode($0.pathBytes, keepsSlash: true) }]
      .compactMap { $0 }.joined(separator: "/")
  }
}
