import Testing
import Transfer

@testable import ObjectStorage

/// Each row of the table of retries, from the answer of the store to the decision.
@Suite struct RetryDecisionTests {
  private static let now: Int64 = 1_800_000_000_000

  private static func answer(
    _ status: Int, _ code: String? = nil, message: String = "", headers: [(name: String, value: String)] = [],
    method: HTTPRequest.Method = .put, more: String = ""
  ) -> StoreError {
    let body = code.map { Array("<Error><Code>\($0)</Code><Message>\(message)</Message>\(more)</Error>".utf8) } ?? []
    return S3Answer.error(
      HTTPResponse(status: status, headers: headers, body: body),
      S3Answer.Asked(action: "cannot do it", method: method, region: "us-east-1", now: now))
  }

  private static func decision(
    _ error: StoreError, attempt: Int = 1, random: Double = 0.5, optionalHeaders: Bool = false
  ) -> RetryDecision {
    .after(error, attempt: attempt, random: random, now: now, optionalHeaders: optionalHeaders)
  }

  @Test(arguments: [TransferError.Kind.resolve, .connect, .interrupted, .timeout])
  func theNetworkIsTriedAgainWithoutEnd(_ kind: TransferError.Kind) {
    let error = StoreError(TransferError(kind, "x"), "cannot do it")
    let bounds: [Int: Int64] = [1: 1000, 2: 2000, 3: 4000, 9: 256_000, 10: 300_000, 1_000_000: 300_000]
    for (attempt, bound) in bounds {
      #expect(Self.decision(error, attempt: attempt, random: 0) == .again(after: 0, alarm: nil))
      #expect(Self.decision(error, attempt: attempt, random: 0.5) == .again(after: bound / 2, alarm: nil))
    }
  }

  @Test(arguments: [408, 429, 500, 502, 503, 504]) func busyStoresAreTriedAgain(_ status: Int) {
    #expect(Self.decision(Self.answer(status)) == .again(after: 500, alarm: nil))
    let asked = Self.answer(status, headers: [("Retry-After", "7")])
    #expect(Self.decision(asked) == .again(after: 7000, alarm: nil))
    let long = Self.answer(status, headers: [("retry-after", "86400")])
    #expect(Self.decision(long) == .again(after: 900_000, alarm: nil))
    let date = Self.answer(status, headers: [("Retry-After", "Fri, 15 Jan 2027 08:00:10 GMT")])
    #expect(Self.decision(date) == .again(after: 10_000, alarm: nil))
  }

  @Test(arguments: [
    (503, "SlowDown"), (409, "ConditionalRequestConflict"), (409, "OperationAborted"), (500, "InternalError"),
  ])
  func conflictsAreTriedAgain(_ status: Int, _ code: String) {
    #expect(Self.decision(Self.answer(status, code)) == .again(after: 500, alarm: nil))
  }

  @Test(arguments: ["RequestTimeout", "BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch"])
  func refusedContentIsReadAgainOnce(_ code: String) {
    let error = Self.answer(400, code)
    #expect(Self.decision(error) == .rereadContent)
    #expect(Self.decision(error, attempt: 2) == .fail(alarm: .damaged))
  }

  @Test(arguments: [(400, "ExpiredToken"), (403, "ExpiredToken"), (400, "InvalidToken"), (401, nil)])
  func expiredCredentialsAreFetchedAtOnce(_ status: Int, _ code: String?) {
    let error = Self.answer(status, code)
    #expect(Self.decision(error) == .refreshCredentials)
    #expect(Self.decision(error, attempt: 2) == .again(after: 300_000, alarm: .denied))
  }

  @Test func theStoresClockSigns() {
    let error = Self.answer(403, "RequestTimeTooSkewed", headers: [("Date", "Fri, 15 Jan 2027 09:00:00 GMT")])
    #expect(Self.decision(error) == .shiftClock(3_600_000))
    #expect(Self.decision(error, attempt: 2) == .again(after: 300_000, alarm: .clockWrong))
    #expect(RetryDecision.isSkewToReport(-300_001) && !RetryDecision.isSkewToReport(300_000))
    // The answer of a HEAD has no body.
    let head = Self.answer(403, headers: [("Date", "Fri, 15 Jan 2027 09:00:00 GMT")], method: .head)
    #expect(Self.decision(head) == .shiftClock(3_600_000))
  }

  @Test func wrongRegionsAreCorrectedOnce() {
    for error in [
      Self.answer(301, "PermanentRedirect", headers: [("x-amz-bucket-region", "eu-west-1")]),
      Self.answer(400, "AuthorizationHeaderMalformed", more: "<Region>eu-west-1</Region>"),
      Self.answer(400, headers: [("x-amz-bucket-region", "eu-west-1")], method: .head),
      Self.answer(307, headers: [("x-amz-bucket-region", "eu-west-1")]),
    ] { #expect(Self.decision(error) == .useRegion("eu-west-1")) }
    let unknown = Self.answer(301, headers: [("x-amz-bucket-region", "evil.example/")])
    #expect(Self.decision(unknown) == .useRegion(nil))
    #expect(Self.decision(unknown, attempt: 2) == .again(after: 300_000, alarm: .denied))
  }

  @Test(arguments: [(403, "AccessDenied"), (404, "NoSuchBucket"), (403, "SignatureDoesNotMatch"), (403, nil)])
  func refusalsAreReportedAtOnce(_ status: Int, _ code: String?) {
    let error = Self.answer(status, code)
    #expect(Self.decision(error) == .again(after: 300_000, alarm: .denied))
    #expect(Self.decision(error, attempt: 12) == .again(after: 300_000, alarm: .denied))
    #expect(Self.decision(error, attempt: 13) == .again(after: 3_600_000, alarm: .denied))
  }

  @Test func untrustedCertificatesAreReportedAtOnce() {
    let error = StoreError(TransferError(.tls, "x"), "cannot do it")
    #expect(Self.decision(error) == .again(after: 300_000, alarm: .denied))
  }

  @Test func takenNamesAreLookedUp() {
    #expect(Self.decision(Self.answer(412, "PreconditionFailed")) == .confirm)
    #expect(Self.decision(Self.answer(412)) == .confirm)
  }

  @Test func unknownHeadersAreLeftOut() {
    let error = Self.answer(501, "NotImplemented")
    #expect(Self.decision(error, optionalHeaders: true) == .leaveOutOptionalHeaders)
    #expect(Self.decision(error) == .fail(alarm: .unsupported))
    let header = Self.answer(400, "InvalidArgument", message: "Unsupported header 'x' received")
    #expect(Self.decision(header, optionalHeaders: true) == .leaveOutOptionalHeaders)
    #expect(Self.decision(header, attempt: 2, optionalHeaders: true) == .fail(alarm: .unsupported))
  }

  @Test(arguments: [(507, nil), (403, "QuotaExceeded"), (507, "XMinioStorageFull")])
  func fullStoresAreTriedEveryFiveMinutes(_ status: Int, _ code: String?) {
    #expect(Self.decision(Self.answer(status, code)) == .again(after: 300_000, alarm: .full))
  }

  @Test func finalAnswersAreNotRepeated() {
    for error in [Self.answer(404, "NoSuchKey"), Self.answer(416, "InvalidRange"), Self.answer(400, "MalformedXML")] {
      #expect(Self.decision(error) == .fail(alarm: nil))
    }
    #expect(Self.decision(StoreError(.changed, "x")) == .fail(alarm: .damaged))
  }

  @Test func messagesAreShortAndPrintable() {
    let error = Self.answer(403, "AccessDenied", message: "no\u{1b}[31m " + String(repeating: "x", count: 9999))
    #expect(error.message.hasPrefix("cannot do it: the store answered 403 AccessDenied: no\\u{1b}[31m xxx"))
    #expect(error.message.count < 400)
  }
}
