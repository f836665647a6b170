import Names

/// AWS Signature Version 4 for S3, in the `Authorization` header.
///
/// libcurl's own signatures do not sort queries and mis-sort headers in the versions that
/// distributions ship (curl/curl#9717, curl/curl#14370).
/// The algorithm: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
package struct SigV4: Sendable {
  package var keyID: String
  package var secret: Secret
  package var sessionToken: Secret?
  package var region: String

  package init(keyID: String, secret: Secret, sessionToken: Secret? = nil, region: String) {
    (self.keyID, self.secret, self.sessionToken, self.region) = (keyID, secret, sessionToken, region)
  }

  /// The parts of a request that the signature covers.
  package struct Request: Sendable {
    package var method: String
    /// As in the `Host` header: with the port unless it is the scheme's own.
    package var host: String
    /// Percent-encoded, with a `/` at the start. S3 signs it as it is, without removing `.` or `//`.
    package var path: String
    /// Names and values before their encoding.
    package var query: [(name: String, value: String)]
    package var headers: [(name: String, value: String)]
    /// 64 lower-case hexadecimal digits.
    package var contentSHA256: String

    package init(
      method: String, host: String, path: String, query: [(name: String, value: String)] = [],
      headers: [(name: String, value: String)] = [], contentSHA256: String
    ) {
      (self.method, self.host, self.path, self.query) = (method, host, path, query)
      (self.headers, self.contentSHA256) = (headers, contentSHA256)
    }
  }

  /// Proxies and libcurl change these on the way, so they are not signed.
  private static let unsigned: Set<String> = [
    "accept", "accept-encoding", "connection", "content-length", "expect", "transfer-encoding", "user-agent",
  ]

  /// The headers to send: those of the request, then the date, the content's digest, the session
  /// token and the signature.
  ///
  /// - Parameter time: milliseconds since the epoch. Stores accept 15 minutes of difference, so sign
  ///   each attempt just before sending it.
  package func sign(_ request: Request, time: Int64) -> [(name: String, value: String)] {
    let stamp = StoreTime.basic(time)
    var headers = request.headers + [("x-amz-date", stamp), ("x-amz-content-sha256", request.contentSHA256)]
    if let sessionToken { headers.append(("x-amz-security-token", sessionToken.exposed)) }
    let (signed, canonical) = Self.canonical(request, headers)
    let scope = "\(stamp.prefix(8))/\(region)/s3/aws4_request"
    let digest = Digest.sha256(Array(canonical.utf8)).hexText
    let text = "AWS4-HMAC-SHA256\n\(stamp)\n\(scope)\n\(digest)"
    let signature = Digest.hmac(key: key(day: String(stamp.prefix(8))), Array(text.utf8)).hexText
    headers.append(
      (
        "Authorization",
        "AWS4-HMAC-SHA256 Credential=\(keyID)/\(scope), SignedHeaders=\(signed), Signature=\(signature)"
      ))
    return headers
  }

  /// The query as it is sent and signed: sorted by encoded name, then by value.
  package static func encodedQuery(_ query: [(name: String, value: String)]) -> String {
    query.map { (PercentEncoding.encode($0.name.utf8), PercentEncoding.encode($0.value.utf8)) }
      .sorted { $0 < $1 }
      .map { "\($0)=\($1)" }.joined(separator: "&")
  }

  private func key(day: String) -> [UInt8] {
    var key = Array("AWS4\(secret.exposed)".utf8)
    for part in [day, region, "s3", "aws4_request"] { key = Digest.hmac(key: key, Array(part.utf8)) }
    return key
  }

  private static func canonical(
    _ request: Request, _ headers: [(name: String, value: String)]
  ) -> (signed: String, text: String) {
    var values: [String: [String]] = ["host": [request.host]]
    for (name, value) in headers where !unsigned.contains(name.lowercased()) {
      values[name.lowercased(), default: []].append(trimmed(value))
    }
    let sorted = values.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    let signed = sorted.map(\.key).joined(separator: ";")
    let lines = sorted.map { "\($0.key):\($0.value.joined(separator: ","))\n" }.joined()
    let text = [
      request.method, request.path, encodedQuery(request.query), lines, signed, request.contentSHA256,
    ].joined(separator: "\n")
    return (signed, text)
  }

  /// Without white space at the ends, and with one space for several.
  private static func trimmed(_ value: String) -> String {
    value.split { $0 == " " || $0 == "\t" }.joined(separator: " ")
  }
}
