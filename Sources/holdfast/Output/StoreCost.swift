import BackupEngine
import BackupPolicy
import ObjectStorage

/// The costs of requests to a store, and of what it holds, by its list prices.
struct StoreCost {
  let prices: StorePrices

  /// Nil for folders, and for stores whose prices are not known.
  init?(_ url: StoreURL) {
    guard case .s3(let location) = url else { return nil }
    let host = location.endpoint?.host ?? "s3.amazonaws.com"
    let store = Self.stores.first { host == $0.suffix || host.hasSuffix(".\($0.suffix)") }?.store
    guard let prices = StorePrices.all.first(where: { $0.store == store }) else { return nil }
    self.prices = prices
  }

  private static let stores = [
    (suffix: "amazonaws.com", store: "S3"), (suffix: "r2.cloudflarestorage.com", store: "R2"),
    (suffix: "backblazeb2.com", store: "B2"),
  ]

  func requests(_ count: RequestCount) -> Dollars { prices.month(count, bytes: 0) }

  /// Of a month.
  func storage(_ bytes: Int64) -> Dollars { prices.month(RequestCount(), bytes: bytes) }

  /// `$1.53 on S3`
  func words(_ amount: Dollars) -> String {
    let text = amount.billionths > 0 && amount.billionths < 100_000 ? "less than $0.0001" : "\(amount)"
    return "\(text) on \(prices.store)"
  }

  func json(_ requests: RequestCount, bytes: Int64) -> JSONValue {
    .object([
      "store": .string(prices.store), "requests": Self.json(self.requests(requests)),
      "storage_a_month": Self.json(storage(bytes)), "currency": .string("USD"), "prices_of": .string(prices.read),
    ])
  }

  private static func json(_ amount: Dollars) -> JSONValue { .number(Double(amount.billionths) / 1e9) }
}

extension RequestCount {
  var total: Int64 { puts + gets + lists + deletes }

  /// `1,204 uploads, 3 reads`; without the kinds that do not occur.
  var words: String {
    let kinds = [(puts, "upload"), (gets, "read"), (lists, "list"), (deletes, "removal")]
    let parts = kinds.filter { $0.0 > 0 }.map { "\($0.0.grouped) \($0.1)\($0.0 == 1 ? "" : "s")" }
    return parts.isEmpty ? "no requests" : parts.joined(separator: ", ")
  }

  var json: JSONValue {
    .object(["puts": .integer(puts), "gets": .integer(gets), "lists": .integer(lists), "deletes": .integer(deletes)])
  }
}
