/// Requests to a store, by the classes that stores charge for.
package struct RequestCount: Hashable, Sendable {
  /// Also each part of a multipart upload, and its start and end.
  package var puts: Int64 = 0
  /// Also HEAD.
  package var gets: Int64 = 0
  package var lists: Int64 = 0
  package var deletes: Int64 = 0

  package init(puts: Int64 = 0, gets: Int64 = 0, lists: Int64 = 0, deletes: Int64 = 0) {
    (self.puts, self.gets, self.lists, self.deletes) = (puts, gets, lists, deletes)
  }

  package static func + (left: RequestCount, right: RequestCount) -> RequestCount {
    RequestCount(
      puts: left.puts.addingClamped(right.puts), gets: left.gets.addingClamped(right.gets),
      lists: left.lists.addingClamped(right.lists), deletes: left.deletes.addingClamped(right.deletes))
  }

  package static func - (left: RequestCount, right: RequestCount) -> RequestCount {
    RequestCount(
      puts: left.puts - right.puts, gets: left.gets - right.gets, lists: left.lists - right.lists,
      deletes: left.deletes - right.deletes)
  }

  package static func * (count: RequestCount, factor: Int64) -> RequestCount {
    RequestCount(
      puts: count.puts.multipliedClamped(by: factor), gets: count.gets.multipliedClamped(by: factor),
      lists: count.lists.multipliedClamped(by: factor), deletes: count.deletes.multipliedClamped(by: factor))
  }
}

/// The sizes from which an upload has parts.
package struct UploadParts: Hashable, Sendable {
  /// Archives of at most this many bytes are one request.
  package var single: Int64 = 64 << 20
  /// Bytes of a part.
  package var part: Int64 = 16 << 20

  package init() {}

  /// The requests of one put.
  package func requests(forBytes bytes: Int64) -> Int64 {
    guard bytes > single, part > 0 else { return 1 }
    return 2 + (bytes - 1) / part + 1
  }
}

extension RequestCount {
  /// The requests of a plan.
  ///
  /// - Parameters:
  ///   - mustLook: whether the next writer record is read first; it is one of a write's requests.
  ///   - withMetadata: the fulls that need their metadata beside them, which is one more put.
  package init(
    _ plan: ReplicationPlan, parts: UploadParts = UploadParts(), mustLook: Bool, withMetadata: Set<PointID> = []
  ) {
    self.init()
    for step in plan.steps {
      switch step {
      case .put(let put):
        puts += parts.requests(forBytes: put.bytes) + (withMetadata.contains(put.point) ? 1 : 0)
      case .remove: deletes += 1
      case .wait, .stop: continue
      }
    }
    if mustLook, puts + deletes > 0 { gets += 1 }
  }
}

/// An amount of money, in billionths of a dollar.
package struct Dollars: Hashable, Comparable, Sendable, CustomStringConvertible {
  package var billionths: Int64

  package init(billionths: Int64) {
    self.billionths = billionths
  }

  package static func < (left: Dollars, right: Dollars) -> Bool { left.billionths < right.billionths }

  /// `$1.53`; four decimals below a cent: `$0.0008`.
  package var description: String {
    let isSmall = billionths.magnitude > 0 && billionths.magnitude < 10_000_000
    let unit: UInt64 = isSmall ? 100_000 : 10_000_000
    let rounded = (billionths.magnitude + unit / 2) / unit
    let perDollar: UInt64 = isSmall ? 10_000 : 100
    let rest = String(rounded % perDollar)
    let zeros = String(repeating: "0", count: (isSmall ? 4 : 2) - rest.count)
    return "\(billionths < 0 ? "-" : "")$\(rounded / perDollar).\(zeros)\(rest)"
  }
}

/// The list prices of a store.
package struct StorePrices: Hashable, Sendable {
  package var store: String
  /// Billionths of a dollar for one request: thousandths of a dollar for a million.
  package var put: Int64
  package var get: Int64
  package var list: Int64
  package var delete: Int64
  /// Billionths of a dollar for a gigabyte (10^9 bytes) and month.
  package var gigabyteMonth: Int64
  /// Included each month.
  package var freePuts: Int64 = 0
  package var freeGets: Int64 = 0
  package var freeBytes: Int64 = 0
  /// The day on which the source was read.
  package var read: String
  package var source: String

  /// Traffic out of the store is not part of it, because backups only go in.
  package static let all: [StorePrices] = [
    StorePrices(
      store: "S3", put: 5000, get: 400, list: 5000, delete: 0, gigabyteMonth: 23_000_000, read: "2026-11-28",
      source: "c3x.dev/blog/s3-request-fees-explained (us-east-1, Standard)"),
    StorePrices(
      store: "R2", put: 4500, get: 360, list: 4500, delete: 0, gigabyteMonth: 15_000_000, freePuts: 1_000_000,
      freeGets: 10_000_000, freeBytes: 10_000_000_000, read: "2026-11-28",
      source: "github.com/cloudflare/cloudflare-docs: r2/pricing.mdx"),
    StorePrices(
      store: "B2", put: 0, get: 400, list: 4000, delete: 0, gigabyteMonth: 6_000_000, freeGets: 75_000,
      freeBytes: 10_000_000_000, read: "2026-11-28",
      source: "backblaze.com/cloud-storage/transaction-pricing; 2,500 free requests a day"),
  ]

  /// The price of a month.
  ///
  /// - Parameters:
  ///   - bytes: stored on average.
  ///   - withFree: whether the free amounts are subtracted. They are of an account, not of a target.
  package func month(_ count: RequestCount, bytes: Int64, withFree: Bool = false) -> Dollars {
    func charge(_ amount: Int64, _ free: Int64, _ price: Int64) -> Int64 {
      max(0, amount - (withFree ? free : 0)).multipliedClamped(by: price)
    }
    // Lists are of the same class as puts in S3 and R2, and free amounts count for both together.
    let putsLeft = max(0, freePuts - count.puts)
    let kilobytes = max(0, bytes - (withFree ? freeBytes : 0)) / 1000
    return Dollars(
      billionths: [
        charge(count.puts, freePuts, put), charge(count.lists, putsLeft, list), charge(count.gets, freeGets, get),
        charge(count.deletes, 0, delete), kilobytes.multipliedClamped(by: gigabyteMonth) / 1_000_000,
      ].reduce(0) { $0.addingClamped($1) })
  }
}
