import Glibc
import Synchronization
import TestSupport
import Testing
import Transfer

@testable import ObjectStorage

/// The parts of an upload: how many are on their way, and when they end.
@Suite(.ownThread) struct PartQueueTests {
  private struct Log {
    var sending = 0
    var most = 0
    var numbers: [Int] = []
  }

  private static func items(_ count: Int, size: Int64) -> [PartQueue.Item] {
    (0..<count).map { PartQueue.Item(number: $0 + 1, range: Int64($0) * size..<Int64($0 + 1) * size) }
  }

  private static let content = ObjectContent((0..<6000).map { UInt8(truncatingIfNeeded: $0 * 31 / 7) })

  @Test(arguments: [1, 3, 8]) func neverMorePartsAreSentThanAllowed(_ width: Int) throws {
    let log = Mutex(Log())
    let queue = PartQueue(Self.items(60, size: 100), of: Self.content, md5: true, width: width)
    let parts = try queue.run { item, digests throws(StoreError) in
      log.withLock { log in
        log.sending += 1
        log.most = max(log.most, log.sending)
        log.numbers.append(item.number)
      }
      usleep(1000)
      log.withLock { $0.sending -= 1 }
      let expected = try Self.content.digests(item.range, md5: true)
      guard digests.sha256 == expected.sha256, digests.md5 == expected.md5 else { throw StoreError(.other, "digests") }
      return ListingXML.Part(number: item.number, size: 100, etag: "e")
    }
    #expect(Set(parts.map(\.number)) == Set(1...60) && parts.count == 60)
    let (most, numbers) = log.withLock { ($0.most, $0.numbers) }
    #expect(most <= width && numbers.count == 60)
    if width == 1 { #expect(numbers == Array(1...60)) }
  }

  @Test func aFailingPartEndsTheOthers() throws {
    let count = Atomic<Int>(0)
    let queue = PartQueue(Self.items(60, size: 100), of: Self.content, md5: false, width: 4)
    let error = #expect(throws: StoreError.self) {
      try queue.run { item, _ throws(StoreError) in
        count.add(1, ordering: .relaxed)
        if item.number >= 9 { throw StoreError(.unreachable, "part \(item.number)") }
        return ListingXML.Part(number: item.number, size: 100, etag: "e")
      }
    }
    #expect(error?.kind == .unreachable && count.load(ordering: .relaxed) <= 8 + 4)
  }

  @Test func aFileThatBecomesShorterEndsTheUpload() throws {
    let folder = try TemporaryFolder()
    let file = open(try folder.write("content", [UInt8](repeating: 1, count: 3000)), O_RDONLY)
    defer { close(file) }
    let content = ObjectContent(descriptor: file, length: 6000, sha256: [UInt8](repeating: 0, count: 32))
    let queue = PartQueue(Self.items(60, size: 100), of: content, md5: true, width: 2)
    let error = #expect(throws: StoreError.self) {
      try queue.run { item, _ in ListingXML.Part(number: item.number, size: 100, etag: "e") }
    }
    #expect(error?.kind == .changed)
  }

  /// If the whole file were read, its wrong digest would be the error.
  @Test func aStoppedUploadDoesNotReadItsFileToTheEnd() throws {
    let folder = try TemporaryFolder()
    let file = open(folder.path("large"), O_RDWR | O_CREAT, 0o600)
    defer { close(file) }
    try #require(ftruncate(file, 4 << 30) == 0)
    let content = ObjectContent(descriptor: file, length: 4 << 30, sha256: [UInt8](repeating: 0, count: 32))
    guard case .s3(let location) = try StoreURL("s3://b/p?endpoint=http://127.0.0.1:1&region=r") else { return }
    var settings = S3Settings()
    settings.sendsMD5 = false
    let store = S3Store(location, credentials: FixedCredentials(), client: StoppedClient(), settings: settings)
    let error = #expect(throws: StoreError.self) { try store.put("k", content) }
    #expect(error?.kind == .cancelled)
  }

  /// Begins uploads, and is stopped then.
  private struct StoppedClient: HTTPClient {
    func perform(_ request: HTTPRequest, into sink: HTTPSink) throws(TransferError) -> HTTPResponse {
      guard request.method == .post else { throw TransferError(.cancelled, "the transfer was stopped") }
      let body = "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
      return HTTPResponse(status: 200, body: Array(body.utf8), received: Int64(body.utf8.count))
    }
  }

  // MARK: Digests

  @Test func fourContentsHaveTheDigestsOfEach() throws {
    let folder = try TemporaryFolder()
    var random = SystemRandomNumberGenerator()
    let bytes = (0..<400_000).map { _ in UInt8.random(in: 0...255, using: &random) }
    let file = open(try folder.write("content", bytes), O_RDONLY)
    defer { close(file) }
    let content = ObjectContent(descriptor: file, offset: 7, length: 399_000, sha256: [UInt8](repeating: 0, count: 32))
    for length in [0, 1, 55, 56, 63, 64, 65, 119, 120, 1000, 65535, 65536, 65537, 99_000] as [Int64] {
      for count in 1...4 {
        let ranges = (0..<count).map { Int64($0) * length..<Int64($0 + 1) * length }
        for (range, digests) in zip(ranges, try content.digests(ranges, md5: true)) {
          let piece = Array(bytes[7 + Int(range.lowerBound)..<7 + Int(range.upperBound)])
          #expect(digests.sha256 == Digest.sha256(piece) && digests.md5 == Digest.md5(piece), "\(count) of \(length)")
        }
      }
    }
    let unequal = try content.digests([0..<100, 100..<150], md5: true)
    #expect(unequal[1].md5 == Digest.md5(Array(bytes[107..<157])))
  }

  // MARK: Progress

  @Test func theBytesOfPartsAddUp() {
    let reports = Mutex<[Int64]>([])
    let meter = UploadMeter([ListingXML.Part(number: 1, size: 100, etag: "e")]) { total in
      reports.withLock { $0.append(total) }
      return true
    }
    for (part, sent) in [(2, 40), (3, 10), (2, 100), (3, 0), (3, 50)] as [(Int, Int64)] { meter.record(part, sent) }
    #expect(reports.withLock { $0 } == [140, 150, 210, 200, 250])
  }

  @Test func aFolderReportsItsProgressAndStops() throws {
    let folder = try TemporaryFolder()
    let store = FolderStore(folder.path)
    let content = ObjectContent([UInt8](repeating: 3, count: 600_000))
    let file = open(try folder.write("source", [UInt8](repeating: 3, count: 600_000)), O_RDONLY)
    defer { close(file) }
    let reports = Mutex<[Int64]>([])
    var options = PutOptions()
    options.sent = { sent in
      reports.withLock { $0.append(sent) }
      return true
    }
    let source = ObjectContent(descriptor: file, length: 600_000, sha256: content.sha256)
    try store.put("whole", source, options)
    #expect(reports.withLock { $0 } == [262_144, 524_288, 600_000])
    options.sent = { $0 < 300_000 }
    let error = #expect(throws: StoreError.self) { try store.put("stopped", source, options) }
    #expect(error?.kind == .cancelled)
    #expect(try store.listAll(ListQuery()).objects.map(\.key).sorted() == ["source", "whole"])
  }
}
