import Testing
import TestSupport

@testable import SQLitePages

@Suite("The wal-index", .ownThread)
struct WALIndexTests {
  /// A header as SQLite stores it, in the machine's byte order.
  private func header(_ change: (inout [UInt32]) -> Void = { _ in }) -> [UInt32] {
    var words: [UInt32] = [3_007_000, 0, 17, 0, 40, 90, 11, 12, 13, 14, 0, 0]
    withUnsafeMutableBytes(of: &words[3]) { $0[0] = 1 }
    let sum = WALIndexHeader.checksum(Array(words[..<10]))
    (words[10], words[11]) = (sum[0], sum[1])
    change(&words)
    return words
  }

  @Test("A header is accepted only with its checksum, version and flag")
  func parsing() throws {
    let parsed = try #require(header().withUnsafeBytes { WALIndexHeader($0) })
    #expect(parsed.changeCount == 17 && parsed.maxFrame == 40 && parsed.pageCount == 90)
    #expect(parsed.frameChecksum == [11, 12])
    for word in 0..<12 where word != 3 {
      #expect(header { $0[word] ^= 1 << 9 }.withUnsafeBytes { WALIndexHeader($0) } == nil, "word \(word)")
    }
    #expect(header { $0[3] = 0 }.withUnsafeBytes { WALIndexHeader($0) } == nil)
    #expect([UInt32](repeating: 0, count: 12).withUnsafeBytes { WALIndexHeader($0) } == nil)
  }

  @Test("The page map gives each page's last frame, and equals a plain search", arguments: 0..<20)
  func pageMap(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let pageCount = UInt32.random(in: 1...60, using: &random)
    let frames = (0..<Int.random(in: 0...200, using: &random)).map { _ in UInt32.random(in: 0...80, using: &random) }
    var map = WALPageMap(pages: frames, pageCount: pageCount)
    for _ in 0..<50 {
      let first = UInt32.random(in: 1...pageCount, using: &random)
      let count = Int.random(in: 0...Int(pageCount - first) + 1, using: &random)
      let expected = (0..<count).compactMap { offset -> [UInt32]? in
        let page = first + UInt32(offset)
        return frames.lastIndex(of: page).map { [page, UInt32($0) + 1] }
      }
      #expect(map.frames(first: first, count: count).map { [$0.page, $0.frame] } == expected)
    }
  }
}
