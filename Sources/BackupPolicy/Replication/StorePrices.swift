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

  /// Without what is stored.
  package func requests(_ count: RequestCount) -> Dollars { month(count, bytes: 0) }

  /// Of a month.
  package func storage(_ bytes: Int64) -> Dollars { month(RequestCount(), bytes: bytes) }
}

extension StorePrices {
  private static let hosts = [
    (suffix: "amazonaws.com", store: "S3"), (suffix: "r2.cloudflarestorage.com", store: "R2"),
    (suffix: "backblazeb2.com", store: "B2"),
  ]

  /// Nil if the prices of the store are not known.
  ///
  /// - Parameter host: of the endpoint.
  package init?(host: String) {
    guard let store = Self.hosts.first(where: { host == $0.suffix || host.hasSuffix(".\($0.suffix)") })?.store else {
      return nil
    }
    self.init(store: store)
  }

  /// Nil if the prices of the store are not known.
  ///
  /// - Parameter store: its name, as in ``store``.
  package init?(store: String) {
    guard let prices = Self.all.first(where: { $0.store == store }) else { return nil }
    self = prices
  }
}

/// The content of a target and the requests to it, as far as this host knows them.
package struct TargetUsage: Hashable, Sendable {
  /// Archives there.
  package var objects = 0
  /// Bytes of all of them.
  package var bytes: Int64 = 0
  /// When the newest backup there was made; nil if it is not known.
  package var newest: Timestamp?
  /// Such as 2026-11; empty before the first request.
  package var month = ""
  /// Since the start of the UTC month ``month``, by this host.
  package var requests = RequestCount()
  package var sentBytes: Int64 = 0

  package init() {}
}
