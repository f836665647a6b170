import Names
import Transfer

/// Answers of S3 and compatible stores that are not a success, as errors of this module.
///
/// Codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
enum S3Answer {
  /// What was asked, for the classification of an answer without a body.
  struct Asked {
    /// For messages: "cannot store points/…".
    var action: String
    var method: HTTPRequest.Method
    var region: String
    /// This machine's time, milliseconds since the epoch.
    var now: Int64
  }

  static func error(_ response: HTTPResponse, _ asked: Asked) -> StoreError {
    let answer = ListingXML.error(response.body)
    let serverTime = response.header("date").flatMap { StoreTime.parse(httpDate: $0) }
    let kind = kind(response, answer, asked, serverTime)
    let word = answer.map { $0.message.isEmpty ? " \($0.code)" : " \($0.code): \($0.message)" } ?? ""
    var error = StoreError(kind, "\(asked.action): the store answered \(response.status)\(word)")
    error.status = response.status
    error.code = answer?.code
    error.retryAfter = response.header("retry-after").flatMap { retryAfter($0, asked.now) }
    error.serverTime = serverTime
    return error
  }

  private static func kind(
    _ response: HTTPResponse, _ answer: ListingXML.ErrorAnswer?, _ asked: Asked, _ serverTime: Int64?
  ) -> StoreError.Kind {
    let region = [response.header("x-amz-bucket-region"), answer?.region].compactMap { $0 }
      .first { $0 != asked.region && S3Location.isRegion($0) }
    if let region, [301, 307, 400].contains(response.status) { return .wrongRegion(region) }
    if let answer, let kind = kind(code: answer.code, answer.message) { return kind }
    // The answer of a HEAD has no body, so its reason has to be guessed.
    if asked.method == .head, response.status == 400 { return .expired }
    if response.status == 403, answer == nil, let serverTime, abs(serverTime - asked.now) > 15 * 60_000 {
      return .clockSkew
    }
    return kind(status: response.status)
  }

  private static func kind(code: String, _ message: String) -> StoreError.Kind? {
    switch code {
    case "NoSuchKey", "NoSuchUpload": .missing
    case "NoSuchBucket": .noContainer
    case "PreconditionFailed": .exists
    case "ConditionalRequestConflict", "OperationAborted": .conflict
    case "RequestTimeout", "BadDigest", "InvalidDigest", "IncompleteBody", "XAmzContentSHA256Mismatch",
      "XAmzContentChecksumMismatch":
      .damaged
    case "ExpiredToken", "InvalidToken", "TokenRefreshRequired": .expired
    case "RequestTimeTooSkewed": .clockSkew
    case "PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException":
      .wrongRegion(nil)
    case "SlowDown", "Throttling", "ThrottlingException", "TooManyRequests", "RequestLimitExceeded": .throttled
    case "InternalError", "ServiceUnavailable": .unavailable
    case "QuotaExceeded", "BucketQuotaExceeded", "QuotaExceededException", "InsufficientStorage", "StorageFull",
      "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded":
      .full
    case "NotImplemented", "XNotImplemented": .unsupported
    case "InvalidRange": .outOfRange
    case "AccessDenied" where message.lowercased().contains("cap exceeded"): .full
    case "InvalidArgument", "InvalidRequest": message.lowercased().contains("unsupported header") ? .unsupported : nil
    default: nil
    }
  }

  private static func kind(status: Int) -> StoreError.Kind {
    switch status {
    case 301, 302, 307, 308: .wrongRegion(nil)
    case 401: .expired
    case 403: .denied
    case 404: .missing
    case 408, 500, 502, 503, 504: .unavailable
    case 409: .conflict
    case 412: .exists
    case 416: .outOfRange
    case 429: .throttled
    case 501: .unsupported
    case 507: .full
    default: .other
    }
  }

  /// Seconds or a date (RFC 9110, section 10.2.3), as milliseconds from now.
  private static func retryAfter(_ text: String, _ now: Int64) -> Int64? {
    if let seconds = Int64(text), (0...1_000_000).contains(seconds) { return seconds * 1000 }
    return StoreTime.parse(httpDate: text).map { max(0, $0 - now) }
  }
}

extension HTTPResponse {
  /// The value of the first header with this name, in any case.
  func header(_ name: String) -> String? {
    headers.first { $0.name.lowercased() == name.lowercased() }?.value
  }
}
