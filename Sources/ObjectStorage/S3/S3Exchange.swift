import Names
import Synchronization
import Transfer

/// A request to a bucket before it is addressed and signed.
struct S3Request {
  /// For messages: "cannot store points/…".
  var action: String
  var method: HTTPRequest.Method
  /// With the prefix of the location; nil for the bucket itself.
  var key: String?
  var query: [(name: String, value: String)] = []
  var headers: [(name: String, value: String)] = []
  /// Headers that the request can do without if the store does not know them.
  var optionalHeaders: [(name: String, value: String)] = []
  var body: HTTPBody = .empty
  /// 64 hexadecimal digits.
  var contentSHA256 = S3Request.emptySHA256
  /// As in `HTTPRequest`.
  var sent: (@Sendable (Int64) -> Void)?
  /// Throws `changed` if the content is not the one of the digest any more.
  var checkContent: (() throws(StoreError) -> Void)?

  static let emptySHA256 = Digest.sha256([]).hexText
}

/// Sends requests to one bucket: addresses and signs each attempt, and applies at once what the
/// store's answer asks for. What it learns about the store holds for later requests.
final class S3Exchange: Sendable {
  private struct Learned {
    /// Milliseconds that the store's clock is ahead of this machine's.
    var clockOffset: Int64 = 0
    /// The same, as the last answer showed it.
    var observedDrift: Int64?
    var region: String?
    var leavesOptionalHeadersOut = false
  }

  let location: S3Location
  let settings: S3Settings
  private let credentials: any CredentialSource
  private let client: any HTTPClient
  private let learned = Mutex(Learned())

  init(
    _ location: S3Location, credentials: any CredentialSource, client: any HTTPClient, settings: S3Settings
  ) {
    (self.location, self.settings) = (location, settings)
    (self.credentials, self.client) = (credentials, client)
  }

  /// How far the store's clock is ahead, as the last refusal showed; milliseconds.
  var clockOffset: Int64 { learned.withLock { $0.clockOffset } }

  /// Milliseconds that the store's clock was ahead at its last answer. A `Date` header has no
  /// fraction of a second, and an answer takes its time, so this is exact to about a second.
  var observedDrift: Int64? { learned.withLock { $0.observedDrift } }

  private var region: String { learned.withLock { $0.region } ?? location.region ?? "us-east-1" }

  /// Returns an answer with a 2xx status.
  func perform(_ request: S3Request, into sink: HTTPSink = .memory(limit: 8 << 20)) throws(StoreError) -> HTTPResponse {
    var failures: [StoreError.Kind: Int] = [:]
    var pauses = 0
    while true {
      let present = try credentials.current(now: settings.now())
      let start = SuspendingClock.now
      do throws(StoreError) {
        let response = try attempt(request, present, sink)
        settings.attempted?(S3Attempt(request, since: start, received: response.received))
        return response
      } catch {
        if error.isAboutKeys { credentials.invalidate(present) }
        let decision = decide(error, request, &failures)
        settings.attempted?(
          S3Attempt(request, since: start, reasonToRepeat: decision.isRepetition ? error.kind : nil))
        try apply(decision, after: error, request, present, &pauses)
      }
    }
  }

  private func decide(
    _ error: StoreError, _ request: S3Request, _ failures: inout [StoreError.Kind: Int]
  ) -> RetryDecision {
    let row = Self.row(error.kind)
    failures[row, default: 0] += 1
    // Without the optional headers it failed as well: they are not the reason.
    if row == .unsupported, failures[row, default: 0] > 1 { learned.withLock { $0.leavesOptionalHeadersOut = false } }
    return RetryDecision.after(
      error, attempt: failures[row] ?? 1, random: settings.random(), now: settings.now(),
      optionalHeaders: !request.optionalHeaders.isEmpty && !learned.withLock { $0.leavesOptionalHeadersOut })
  }

  /// Failures are counted by row of the table of retries.
  private static func row(_ kind: StoreError.Kind) -> StoreError.Kind {
    switch kind {
    case .unreachable, .throttled, .unavailable, .conflict: .unavailable
    case .wrongRegion: .wrongRegion(nil)
    default: kind
    }
  }

  /// Returns if the request may be sent again, else throws the error.
  private func apply(
    _ decision: RetryDecision, after error: StoreError, _ request: S3Request, _ used: StoreCredentials,
    _ pauses: inout Int
  ) throws(StoreError) {
    switch decision {
    case .again(let pause, nil) where pauses + 1 < settings.attempts:
      pauses += 1
      settings.pause(pause)
    case .refreshCredentials: credentials.invalidate(used)
    case .rereadContent: try request.checkContent?()
    case .shiftClock(let offset): learned.withLock { $0.clockOffset = offset }
    case .useRegion(let region):
      guard let region = region ?? findRegion(used) else { throw error }
      learned.withLock { $0.region = region }
    case .leaveOutOptionalHeaders: learned.withLock { $0.leavesOptionalHeadersOut = true }
    case .again, .confirm, .fail: throw error
    }
  }

  private func attempt(
    _ request: S3Request, _ credentials: StoreCredentials, _ sink: HTTPSink
  ) throws(StoreError) -> HTTPResponse {
    let now = settings.now()
    let region = region
    let response: HTTPResponse
    do throws(TransferError) {
      response = try client.perform(signed(request, credentials, region, now), into: sink)
    } catch {
      throw StoreError(error, request.action)
    }
    if let time = response.header("date").flatMap({ StoreTime.parse(httpDate: $0) }) {
      // The middle of the second, against the middle of the exchange.
      learned.withLock { $0.observedDrift = time + 500 - (now + settings.now()) / 2 }
    }
    if response.status / 100 == 2 { return response }
    let asked = S3Answer.Asked(action: request.action, method: request.method, region: region, now: now)
    throw S3Answer.error(response, asked)
  }

  /// The error in an answer with a 2xx status.
  func error(_ response: HTTPResponse, _ request: S3Request) -> StoreError {
    S3Answer.error(
      response,
      S3Answer.Asked(action: request.action, method: request.method, region: region, now: settings.now()))
  }

  private func signed(
    _ request: S3Request, _ credentials: StoreCredentials, _ region: String, _ now: Int64
  ) -> HTTPRequest {
    let address = S3Address(location, region: region)
    let (offset, leavesOut) = learned.withLock { ($0.clockOffset, $0.leavesOptionalHeadersOut) }
    let signer = SigV4(
      keyID: credentials.keyID, secret: credentials.secret, sessionToken: credentials.sessionToken, region: region)
    let path = address.path(request.key)
    let parts = SigV4.Request(
      method: request.method.rawValue, host: address.host, path: path, query: request.query,
      headers: request.headers + (leavesOut ? [] : request.optionalHeaders) + address.extraHeaders,
      contentSHA256: request.contentSHA256)
    let query = request.query.isEmpty ? "" : "?" + SigV4.encodedQuery(request.query)
    let headers = signer.sign(parts, time: now + offset) + [("Accept-Encoding", "identity")]
    let url = "\(address.scheme)://\(address.host)\(path)\(query)"
    var http = HTTPRequest(request.method, url, headers: headers, body: request.body)
    http.sent = request.sent
    return http
  }

  /// Asks for the bucket: also a refusal names its region.
  private func findRegion(_ credentials: StoreCredentials) -> String? {
    let request = S3Request(action: "cannot find the region of the bucket", method: .head)
    let http = signed(request, credentials, region, settings.now())
    let answer = try? client.perform(http, into: .memory(limit: 1 << 16))
    return answer?.header("x-amz-bucket-region").flatMap { S3Location.isRegion($0) && $0 != region ? $0 : nil }
  }
}

extension StoreError {
  /// Whether the store does not know the keys, so that they may have been replaced and the next request
  /// asks for them again. Missing rights are no reason for that: `append` and `write-only` meet them in
  /// ordinary work, and a provider that fails then would take good keys away.
  fileprivate var isAboutKeys: Bool { ["InvalidAccessKeyId", "SignatureDoesNotMatch"].contains(code) }
}
