import BackupPolicy

// The content of targets and its costs, for `targets` and for messages.

extension StorePrices {
  /// `$1.53 on S3`
  package func words(_ amount: Dollars) -> String {
    let text = amount.billionths > 0 && amount.billionths < 100_000 ? "less than $0.0001" : "\(amount)"
    return "\(text) on \(store)"
  }
}

extension RequestCount {
  /// `1,204 uploads, 3 reads`; without the kinds that do not occur.
  package var words: String {
    let kinds = [(puts, "upload"), (gets, "read"), (lists, "list"), (deletes, "removal")]
    let parts = kinds.filter { $0.0 > 0 }.map { "\($0.0.grouped) \($0.1)\($0.0 == 1 ? "" : "s")" }
    return parts.isEmpty ? "no requests" : parts.joined(separator: ", ")
  }
}

extension TargetUsage {
  /// `1,204 objects, 3.1 MiB, $0.0002 on S3 a month`; nil if nothing is there.
  ///
  /// - Parameter prices: of the store; nil if they are not known.
  package func storage(_ prices: StorePrices?) -> String? {
    guard objects > 0 else { return nil }
    let price = prices.map { ", \($0.words($0.storage(bytes))) a month" } ?? ""
    return "\(objects.grouped) \(objects == 1 ? "object" : "objects"), \(ByteCount(bytes))\(price)"
  }

  /// `1,204 uploads, 3 reads, 2.9 MiB sent, $0.0061 on S3`; nil before the first request.
  ///
  /// - Parameter prices: of the store; nil if they are not known.
  package func traffic(_ prices: StorePrices?) -> String? {
    guard !month.isEmpty else { return nil }
    let price = prices.map { ", \($0.words($0.requests(requests)))" } ?? ""
    return "\(requests.words), \(ByteCount(sentBytes)) sent\(price)"
  }
}

extension StateFacts.Copy {
  /// The content of the target and the requests of this month, for reports.
  var figures: [String] {
    guard let usage else { return [] }
    return [
      usage.storage(prices).map { "\(name) holds \($0)" },
      usage.traffic(prices).map { "\(name) in \(usage.month): \($0)" },
    ].compactMap { $0 }
  }
}
