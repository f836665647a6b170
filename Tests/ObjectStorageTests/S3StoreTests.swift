import Glibc
import Synchronization
import TestSupport
import Testing
import Transfer

@testable import ObjectStorage

/// Answers requests by a script and records them.
private final class ScriptedClient: HTTPClient {
  enum Answer {
    case response(Int, [(name: String, value: String)], String)
    case failure(TransferError.Kind)
    /// Passes the request on to the real server; with true, its answer is lost.
    case real(loses: Bool)
  }

  private let state: Mutex<(script: [Answer], sent: [HTTPRequest])>
  private let server = SocketClient()

  init(_ script: [Answer]) { state = Mutex((script, [])) }

  var sent: [HTTPRequest] { state.withLock { $0.sent } }
  var methods: [String] { sent.map(\.method.rawValue) }

  func perform(_ request: HTTPRequest, into sink: HTTPSink) throws(TransferError) -> HTTPResponse {
    let answer = state.withLock { state in
      state.sent.append(request)
      return state.script.isEmpty ? Answer.real(loses: false) : state.script.removeFirst()
    }
    switch answer {
    case .response(let status, let headers, let body):
      return HTTPResponse(status: status, headers: headers, body: Array(body.utf8), received: Int64(body.utf8.count))
    case .failure(let kind): throw TransferError(kind, "scripted")
    case .real(let loses):
      let response = try server.perform(request, into: sink)
      if loses { throw TransferError(.interrupted, "the answer was lost") }
      return response
    }
  }
}

extension HTTPRequest {
  fileprivate func header(_ name: String) -> String? {
    headers.first { $0.name.lowercased() == name.lowercased() }?.value
  }
}

/// The errors that a store of S3 repairs itself, and those that it leaves to its caller.
@Suite(.ownThread) struct S3StoreTests {
  private static func error(_ status: Int, _ code: String, _ headers: [(name: String, value: String)] = [])
    -> ScriptedClient.Answer
  { .response(status, headers, "<Error><Code>\(code)</Code><Message>m</Message></Error>") }

  private static let done = ScriptedClient.Answer.response(200, [("ETag", "\"e\"")], "")

  private static func store(
    _ client: ScriptedClient, _ text: String = "s3://bkt/p?region=us-east-1", settings: S3Settings = Moto.small,
    credentials: any CredentialSource = FixedCredentials()
  ) throws -> S3Store {
    guard case .s3(let location) = try StoreURL(text) else { preconditionFailure("not a bucket") }
    var settings = settings
    settings.now = { 1_800_000_000_000 }
    settings.pause = { _ in }
    return S3Store(location, credentials: credentials, client: client, settings: settings)
  }

  @Test func aPutIsOneRequestWithThreeIntegrityHeaders() throws {
    let client = ScriptedClient([Self.done])
    try Self.store(client).put("k", ObjectContent(Array("hello".utf8)))
    let request = try #require(client.sent.first)
    #expect(client.sent.count == 1 && request.url == "https://bkt.s3.us-east-1.amazonaws.com/p/k")
    #expect(
      request.header("x-amz-content-sha256") == "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")
    #expect(request.header("content-md5") == "XUFAKrxLKna5cZ2REBfFkg==")
    #expect(request.header("accept-encoding") == "identity")
    #expect(request.headers.allSatisfy { !$0.name.lowercased().hasPrefix("x-amz-checksum") })
    #expect(request.header("x-amz-date") == "20270115T080000Z")
  }

  @Test("A page that answers an upload with success is no store")
  func loginPage() throws {
    let page = ScriptedClient([.response(200, [("Content-Type", "text/html")], "<html>log in</html>")])
    let error = #expect(throws: StoreError.self) { try Self.store(page).put("k", ObjectContent([1])) }
    #expect(error?.kind == .malformed && error?.message.contains("something else answers") == true)
  }

  /// Has new keys after each refusal.
  private final class Rotating: CredentialSource {
    let number = Mutex(1)
    func current(now: Int64) throws(StoreError) -> StoreCredentials {
      StoreCredentials(keyID: "key\(number.withLock { $0 })", secret: Secret("s"), source: "test")
    }
    func invalidate(_ credentials: StoreCredentials) { number.withLock { $0 += 1 } }
  }

  @Test("After a refusal the next request asks for the keys again, which may have been replaced")
  func replacedKeys() throws {
    let client = ScriptedClient([Self.error(403, "InvalidAccessKeyId"), Self.done])
    let store = try Self.store(client, credentials: Rotating())
    let error = #expect(throws: StoreError.self) { try store.put("k", ObjectContent([1])) }
    #expect(error?.kind == .denied && client.sent.count == 1)
    try store.put("k", ObjectContent([1]))
    #expect(client.sent.last?.header("authorization")?.contains("key2/") == true)
  }

  @Test func expiredCredentialsAreFetchedOnce() throws {
    let client = ScriptedClient([Self.error(400, "ExpiredToken"), Self.done])
    try Self.store(client, credentials: Rotating()).put("k", ObjectContent([1]))
    #expect(client.sent.last?.header("authorization")?.contains("key2/") == true)
    let always = ScriptedClient([Self.error(400, "ExpiredToken"), Self.error(400, "ExpiredToken")])
    let error = #expect(throws: StoreError.self) {
      try Self.store(always, credentials: Rotating()).put("k", ObjectContent([1]))
    }
    #expect(error?.kind == .expired && always.sent.count == 2)
  }

  @Test func theClockOfTheStoreIsLearnt() throws {
    let late = [(name: "Date", value: "Fri, 15 Jan 2027 09:00:00 GMT")]
    let client = ScriptedClient([Self.error(403, "RequestTimeTooSkewed", late), Self.done, Self.done])
    let store = try Self.store(client)
    try store.put("k", ObjectContent([1]))
    try store.put("k", ObjectContent([1]))
    #expect(
      client.sent.map { $0.header("x-amz-date") } == ["20270115T080000Z", "20270115T090000Z", "20270115T090000Z"])
    #expect(store.clockOffset == 3_600_000)
  }

  @Test func theRegionIsLearnt() throws {
    let region = [(name: "x-amz-bucket-region", value: "eu-west-1")]
    let client = ScriptedClient([
      .response(301, [], ""), .response(403, region, ""), Self.done, Self.done,
    ])
    let store = try Self.store(client, "s3://bkt/p")
    try store.put("k", ObjectContent([1]))
    try store.put("k", ObjectContent([1]))
    #expect(client.methods == ["PUT", "HEAD", "PUT", "PUT"])
    #expect(
      client.sent[2].url == "https://bkt.s3.eu-west-1.amazonaws.com/p/k" && client.sent[3].url == client.sent[2].url)
    #expect(client.sent[3].header("authorization")?.contains("/eu-west-1/s3/") == true)
  }

  @Test("Each request is counted once, with the reason if it is sent again")
  func attempts() throws {
    let recorded = Mutex<[S3Attempt]>([])
    var settings = Moto.small
    settings.attempts = 2
    settings.attempted = { attempt in recorded.withLock { $0.append(attempt) } }
    let client = ScriptedClient([
      Self.error(503, "SlowDown"), Self.done, .response(200, [], "content"), .failure(.connect),
      Self.error(403, "AccessDenied"), Self.error(404, "NoSuchKey"), Self.done,
    ])
    let store = try Self.store(client, settings: settings)
    try store.put("k", ObjectContent([1]))
    #expect(try store.get("k") == Array("content".utf8))
    #expect(throws: StoreError.self) { try store.list(ListQuery()) }
    #expect(throws: StoreError.self) { try store.get("k") }
    try store.delete("k")
    let attempts = recorded.withLock { $0 }
    #expect(attempts.map(\.operation) == [.put, .put, .get, .list, .list, .get, .delete])
    #expect(attempts.map(\.reasonToRepeat) == [.throttled, nil, nil, .unreachable, .denied, nil, nil])
    #expect(attempts.map(\.received) == [0, 0, 7, 0, 0, 0, 0] && attempts.allSatisfy { 0..<60_000 ~= $0.duration })
  }

  @Test func unknownOptionalHeadersAreLeftOut() throws {
    let client = ScriptedClient([Self.error(501, "NotImplemented"), Self.done, Self.done])
    let store = try Self.store(client)
    try store.put("k", ObjectContent([1]))
    try store.put("k", ObjectContent([1]))
    #expect(client.sent.map { $0.header("content-md5") != nil } == [true, false, false])
    // A condition is never left out.
    let refusing = ScriptedClient([Self.error(501, "NotImplemented"), Self.error(501, "NotImplemented"), Self.done])
    let other = try Self.store(refusing)
    let error = #expect(throws: StoreError.self) {
      try other.put("k", ObjectContent([1]), PutOptions(createOnly: true))
    }
    #expect(error?.kind == .unsupported && refusing.sent.last?.header("if-none-match") == "*")
    // They were not the reason, so later requests have them again.
    try other.put("k", ObjectContent([1]))
    #expect(refusing.sent.map { $0.header("content-md5") != nil } == [true, false, true])
  }

  @Test func refusedContentIsReadAgain() throws {
    let folder = try TemporaryFolder()
    let file = open(try folder.write("f", [1, 2, 3]), O_RDWR)
    defer { close(file) }
    let content = ObjectContent(descriptor: file, length: 3, sha256: Digest.sha256([1, 2, 3]))
    let client = ScriptedClient([Self.error(400, "BadDigest"), Self.done])
    try Self.store(client).put("k", content)
    #expect(client.sent.count == 2)
    let twice = ScriptedClient([Self.error(400, "BadDigest"), Self.error(400, "BadDigest")])
    let error = #expect(throws: StoreError.self) { try Self.store(twice).put("k", content) }
    #expect(error?.kind == .damaged && twice.sent.count == 2)
  }

  @Test func waitingIsTheCallersUnlessItSaysOtherwise() throws {
    let once = ScriptedClient([Self.error(503, "SlowDown", [("Retry-After", "3")])])
    let error = #expect(throws: StoreError.self) { try Self.store(once).put("k", ObjectContent([1])) }
    #expect(error?.kind == .throttled && error?.retryAfter == 3000 && once.sent.count == 1)
    var patient = Moto.small
    patient.attempts = 3
    let client = ScriptedClient([.failure(.connect), .failure(.interrupted), Self.done])
    try Self.store(client, settings: patient).put("k", ObjectContent([1]))
    #expect(client.sent.count == 3)
    let down = ScriptedClient([.failure(.connect), .failure(.timeout), .failure(.resolve)])
    let last = #expect(throws: StoreError.self) { try Self.store(down, settings: patient).put("k", ObjectContent([1])) }
    #expect(last?.kind == .unreachable && down.sent.count == 3)
  }

  @Test func aStoreThatIgnoresRangesIsRefused() throws {
    let client = ScriptedClient([.response(200, [], "whole")])
    let error = #expect(throws: StoreError.self) { try Self.store(client).get("k", range: 1..<3) }
    #expect(error?.kind == .unsupported)
  }

  @Test func aListingOfOtherNamesIsRefused() throws {
    let body = "<ListBucketResult><Contents><Key>p/other</Key><Size>1</Size></Contents></ListBucketResult>"
    let client = ScriptedClient([.response(200, [], body), .response(200, [], body)])
    let store = try Self.store(client)
    #expect(try store.list(ListQuery()).objects.map(\.key) == ["other"])
    let error = #expect(throws: StoreError.self) { try store.list(ListQuery(prefix: "points/")) }
    #expect(error?.kind == .malformed)
  }

  @Test func foldersOfConsolesAreNotListed() throws {
    let keys = ["p/", "p/points/", "p/a//b", "p/a"].map { "<Contents><Key>\($0)</Key><Size>0</Size></Contents>" }
    let client = ScriptedClient([.response(200, [], "<ListBucketResult>\(keys.joined())</ListBucketResult>")])
    #expect(try Self.store(client).list(ListQuery()).objects.map(\.key) == ["a"])
  }

  // MARK: Uploads in parts

  private static let large = ObjectContent((0..<3500).map { UInt8(truncatingIfNeeded: $0 * 7) })

  /// A store of moto whose requests go through a script first.
  private static func motoStore(_ script: [ScriptedClient.Answer]) throws -> (S3Store, ScriptedClient) {
    let client = ScriptedClient(script)
    return (try Moto.store(client: client), client)
  }

  @Test func anUploadIsOneRequestAPartAndTwo() throws {
    let (store, client) = try Self.motoStore([])
    try store.put("large", Self.large, PutOptions(createOnly: true))
    #expect(client.methods == ["POST", "PUT", "PUT", "PUT", "PUT", "POST"])
    #expect(client.sent.map { $0.header("if-none-match") != nil } == [false, false, false, false, false, true])
  }

  @Test func partsAreSentAtTheSameTime() throws {
    var settings = Moto.small
    settings.parallelParts = 4
    let store = try Moto.store(settings: settings)
    let bytes = (0..<20_500).map { UInt8(truncatingIfNeeded: $0 / 100) }
    try store.put("large", ObjectContent(bytes))
    #expect(try store.get("large") == bytes)
    // A failure of one part ends the others' work.
    let begin = "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
    let client = ScriptedClient(
      [.response(200, [], begin)] + [ScriptedClient.Answer](repeating: .failure(.timeout), count: 99))
    let error = #expect(throws: StoreError.self) {
      try Self.store(client, settings: settings).put("k", ObjectContent(bytes))
    }
    #expect(error?.kind == .unreachable && (2...5).contains(client.sent.count))
  }

  @Test func anUploadWhoseNameIsTakenLeavesNoParts() throws {
    let (store, client) = try Self.motoStore([])
    try store.put("large", ObjectContent([1]))
    let error = #expect(throws: StoreError.self) { try store.put("large", Self.large, PutOptions(createOnly: true)) }
    #expect(error?.kind == .exists && client.methods.last == "DELETE")
    #expect(try store.get("large") == [1])
  }

  /// If an upload ends after any of its requests, it continues with the parts that are missing.
  @Test(arguments: 1...5) func anUploadContinues(_ requests: Int) throws {
    let (store, client) = try Self.motoStore(
      [ScriptedClient.Answer](repeating: .real(loses: false), count: requests) + [.failure(.interrupted)])
    let begun = Mutex<UploadState?>(nil)
    var options = PutOptions()
    options.began = { state in begun.withLock { $0 = state } }
    #expect(throws: StoreError.self) { try store.put("large", Self.large, options) }
    #expect(try store.head("large") == nil)
    options.resume = begun.withLock { $0 }
    let before = client.sent.count
    try store.put("large", Self.large, options)
    // The list of parts, the missing parts, and the end.
    let expected = ["GET"] + [String](repeating: "PUT", count: 5 - requests) + ["POST"]
    #expect(Array(client.methods[before...]) == expected)
    guard case .bytes(let bytes) = Self.large.source else { return }
    #expect(try store.get("large") == bytes)
  }

  @Test func anUploadOfOtherContentBeginsAnew() throws {
    let (store, client) = try Self.motoStore([.real(loses: false), .failure(.interrupted)])
    let begun = Mutex<UploadState?>(nil)
    var options = PutOptions()
    options.began = { state in begun.withLock { $0 = state } }
    #expect(throws: StoreError.self) { try store.put("large", Self.large, options) }
    options.resume = begun.withLock { $0 }
    let other = ObjectContent([UInt8](repeating: 9, count: 3500))
    try store.put("large", other, options)
    #expect(client.methods.suffix(6) == ["POST", "PUT", "PUT", "PUT", "PUT", "POST"])
    #expect(try store.get("large").first == 9)
  }

  @Test func aCompleteUploadWhoseAnswerWasLostIsDone() throws {
    let script = [ScriptedClient.Answer](repeating: .real(loses: false), count: 5) + [.real(loses: true)]
    let (store, client) = try Self.motoStore(script)
    let begun = Mutex<UploadState?>(nil)
    var options = PutOptions()
    options.began = { state in begun.withLock { $0 = state } }
    let error = #expect(throws: StoreError.self) { try store.put("large", Self.large, options) }
    #expect(error?.kind == .unreachable)
    options.resume = begun.withLock { $0 }
    let before = client.sent.count
    try store.put("large", Self.large, options)
    #expect(Array(client.methods[before...]) == ["GET", "HEAD"])
  }

  @Test("If the credentials may not look, an upload whose end is not known is made once more, and replaces nothing")
  func deniedLook() throws {
    let script =
      [ScriptedClient.Answer](repeating: .real(loses: false), count: 5)
      + [.real(loses: true), .real(loses: false), .response(403, [], "")]
    let (store, client) = try Self.motoStore(script)
    let begun = Mutex<UploadState?>(nil)
    var options = PutOptions(createOnly: true)
    options.began = { state in begun.withLock { $0 = state } }
    #expect(throws: StoreError.self) { try store.put("large", Self.large, options) }
    options.resume = begun.withLock { $0 }
    let before = client.sent.count
    let error = #expect(throws: StoreError.self) { try store.put("large", Self.large, options) }
    #expect(error?.kind == .exists)
    #expect(
      Array(client.methods[before...]) == ["GET", "HEAD", "POST", "PUT", "PUT", "PUT", "PUT", "POST", "DELETE"])
    guard case .bytes(let bytes) = Self.large.source else { return }
    #expect(try store.get("large") == bytes)
  }

  @Test func anAbandonedUploadLeavesNothing() throws {
    let (store, _) = try Self.motoStore([.real(loses: false), .real(loses: false), .failure(.interrupted)])
    let begun = Mutex<UploadState?>(nil)
    var options = PutOptions()
    options.began = { state in begun.withLock { $0 = state } }
    #expect(throws: StoreError.self) { try store.put("large", Self.large, options) }
    let state = try #require(begun.withLock { $0 })
    try store.abandon(state)
    try store.abandon(state)
    #expect(try store.head("large") == nil)
    // An upload that is unknown begins anew.
    options.resume = state
    try store.put("large", Self.large, options)
    #expect(try store.head("large")?.size == 3500)
  }

  @Test func anErrorWithStatus200IsAnError() throws {
    let begin = "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
    let parts = [ScriptedClient.Answer](repeating: Self.done, count: 4)
    for body in ["<Error><Code>InternalError</Code></Error>", "", "<Other/>", "<CompleteMultipartUploadResult/>"] {
      let client = ScriptedClient([.response(200, [], begin)] + parts + [.response(200, [], body)])
      let error = #expect(throws: StoreError.self) { try Self.store(client).put("k", Self.large) }
      #expect([.unavailable, .malformed].contains(error?.kind), "\(body)")
    }
  }

  // MARK: Signatures

  @Test func aWrongKeyIsRefused() throws {
    let server = try PythonServer("s3_server.py", ["signed"])
    guard case .s3(let location) = try StoreURL("s3://signed?endpoint=\(server.url)&region=us-east-1") else { return }
    func store(_ secret: String) -> S3Store {
      let credentials = StoreCredentials(keyID: server.lines[1], secret: Secret(secret), source: "test")
      return S3Store(location, credentials: FixedCredentials(credentials: credentials), client: SocketClient())
    }
    try store(server.lines[2]).put("a b", ObjectContent([1]))
    #expect(try store(server.lines[2]).get("a b", range: 0..<1) == [1])
    #expect(try store(server.lines[2]).list(ListQuery(prefix: "a ")).objects.map(\.key) == ["a b"])
    let error = #expect(throws: StoreError.self) { try store("wrong").get("a b") }
    #expect(error?.kind == .denied && error?.message.contains("wrong") == false)
  }
}
