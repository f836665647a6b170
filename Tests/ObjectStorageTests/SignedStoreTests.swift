import TestSupport
import Testing
import Transfer

@testable import ObjectStorage

/// A server that checks signatures and digests, as AWS does.
@Suite("A store that checks each request", .ownThread)
struct SignedStoreTests {
  @Test("A wrong key is refused, and its secret is in no message")
  func wrongKey() throws {
    let bucket = try SwiftServer.makeBucket()
    let right = try SwiftStore.store(bucket: bucket)
    try right.put("a b", ObjectContent([1]))
    let wrong = try SwiftStore.store(secret: "wrong-secret", bucket: bucket)
    for error in [
      #expect(throws: StoreError.self) { try wrong.get("a b") },
      #expect(throws: StoreError.self) { try wrong.put("c", ObjectContent([1])) },
      #expect(throws: StoreError.self) { try wrong.list(ListQuery()) },
    ] {
      #expect(error?.kind == .denied && error?.code == "SignatureDoesNotMatch", "\(String(describing: error))")
      #expect(error?.message.contains("wrong-secret") == false)
    }
    #expect(try right.listAll(ListQuery()).objects.map(\.key) == ["a b"])
  }

  @Test("A clock that is an hour off is learnt from the refusal")
  func clock() throws {
    var settings = Moto.small
    settings.now = { S3Settings().now() - 3_600_000 }
    let store = try SwiftStore.store(settings: settings)
    try store.put("k", ObjectContent([1]))
    #expect(try store.get("k") == [1])
    #expect(abs(store.clockOffset - 3_600_000) < 60_000)
  }

  @Test("Bytes that change on the way are refused by the store, and sent again", arguments: [100, 3500])
  func damagedOnTheWay(size: Int) throws {
    let proxy = try FaultProxy(to: try SwiftServer.url())
    let store = try SwiftStore.store(endpoint: proxy.url)
    let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    let count = size > 3000 ? 6 : 1
    for number in 1...count {
      proxy.prepare(.corrupt, at: number)
      try store.put("k\(number)", ObjectContent(bytes))
      #expect(try store.get("k\(number)") == bytes)
    }
  }

  @Test("A store without conditions says so, and its other requests keep their digests")
  func conditions() throws {
    let client = SocketClient()
    let store = try SwiftStore.store(client: client)
    let error = #expect(throws: StoreError.self) {
      try store.put("k", ObjectContent([1]), PutOptions(createOnly: true))
    }
    #expect(error?.kind == .unsupported)
    #expect(try store.head("k") == nil)
    try store.put("k", ObjectContent([2]))
    #expect(try store.get("k") == [2])
  }

  @Test("The probe finds its abilities")
  func probe() throws {
    let store = try SwiftStore.store()
    let found = try StoreProbe.run(store, folder: "probe/x")
    #expect(found.creation == .unsupported || found.creation == .ignored, "\(found)")
    #expect(found.reading == .works && found.listing == .works && found.ranges == .works, "\(found)")
    #expect(found.paging == .works && found.absence == .works && found.removal == .works, "\(found)")
    #expect(try store.listAll(ListQuery()).objects.isEmpty)
  }
}
