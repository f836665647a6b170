/// Which pages of an image were written; safe from several threads.
final class PageBitmap: Sendable {
  private let monitor = Monitor()
  // Guarded by `monitor`.
  private nonisolated(unsafe) var words: [UInt64]
  private nonisolated(unsafe) var marked: UInt32 = 0
  let pageCount: UInt32

  init(pageCount: UInt32) {
    self.pageCount = pageCount
    words = [UInt64](repeating: 0, count: Int((UInt64(pageCount) + 63) / 64))
  }

  var count: UInt32 { monitor.locked { marked } }

  /// The marked pages, ascending.
  var pages: [UInt32] {
    monitor.locked {
      var pages: [UInt32] = []
      pages.reserveCapacity(Int(marked))
      for (index, word) in words.enumerated() {
        var rest = word
        while rest != 0 {
          pages.append(UInt32(index * 64 + rest.trailingZeroBitCount) + 1)
          rest &= rest - 1
        }
      }
      return pages
    }
  }

  /// Marks pages; returns those that are in the image and were not marked before, in the given order.
  func claim(_ pages: some Sequence<UInt32>) -> [UInt32] {
    monitor.locked {
      pages.filter { page in
        guard page >= 1, page <= pageCount else { return false }
        let (word, bit) = (Int((page - 1) / 64), UInt64(1) << UInt64((page - 1) % 64))
        guard words[word] & bit == 0 else { return false }
        words[word] |= bit
        marked += 1
        return true
      }
    }
  }
}
