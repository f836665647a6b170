import Names

/// The scheme, host and port of a service.
package struct StoreEndpoint: Sendable, Hashable, CustomStringConvertible {
  package var isSecure: Bool
  /// Lower case; an IPv6 address in brackets.
  package var host: String
  /// Nil for the port of the scheme.
  package var port: Int?

  /// `https://host:port`, `http://host:port` or `host:port`, which means https.
  ///
  /// Throws `invalid`, also for http to a host that is neither this machine nor in a private
  /// network, because everyone on the way could read and change the requests.
  package init(_ text: String) throws(StoreError) {
    isSecure = text.after("http://") == nil
    let rest = (text.after("http://") ?? text.after("https://") ?? text).cut("/")
    guard rest.1.isEmpty, !rest.0.contains("@"), !rest.0.contains("?") else {
      throw StoreURL.fault("an endpoint is https://host or https://host:port, without a path or a user")
    }
    (host, port) = try Self.hostAndPort(rest.0.lowercased())
    if port == (isSecure ? 443 : 80) { port = nil }
    guard isSecure || Self.isPrivate(host) else {
      throw StoreURL.fault("http://\(host) is not encrypted: use https (http is for loopback and private networks)")
    }
  }

  /// As in the `Host` header.
  package var authority: String { port.map { "\(host):\($0)" } ?? host }
  package var description: String { "\(isSecure ? "https" : "http")://\(authority)" }

  private static func hostAndPort(_ text: String) throws(StoreError) -> (String, Int?) {
    let isBracketed = text.hasPrefix("[")
    let end = isBracketed ? text.firstIndex(of: "]").map(text.index(after:)) : text.firstIndex(of: ":") ?? text.endIndex
    guard let end else { throw StoreURL.fault("an IPv6 address has no ]") }
    let (host, rest) = (String(text[..<end]), String(text[end...]))
    let letters = host.utf8.allSatisfy { byte in
      (isBracketed && [UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: ":")].contains(byte))
        || (byte < 0x80 && PercentEncoding.encode([byte]).utf8.count == 1 && byte != UInt8(ascii: "~"))
    }
    guard !host.isEmpty, host.utf8.count <= 253, letters else {
      throw StoreURL.fault("'\(host.printable)' is not the name of a host")
    }
    guard !rest.isEmpty else { return (host, nil) }
    guard rest.hasPrefix(":"), let port = Int(rest.dropFirst()), (1...65535).contains(port) else {
      throw StoreURL.fault("'\(rest.printable)' behind the host is not a port")
    }
    return (host, port)
  }

  /// Whether a host is this machine or in a private network: loopback, link-local, RFC 1918, RFC
  /// 6598 and RFC 4193 addresses, names without a dot (containers), and the names `.local`,
  /// `.internal` and `.localhost`.
  package static func isPrivate(_ host: String) -> Bool {
    if host.hasPrefix("[") { return isPrivateIPv6(host) }
    let numbers = host.split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }
    if numbers.count == 4, let first = numbers[0], let second = numbers[1], numbers[2] != nil, numbers[3] != nil {
      return isPrivate(first, second)
    }
    // A last part of digits is an address in an odd form, such as 2130706433 or 0x7f.1.
    let last = host.split(separator: ".").last ?? ""
    guard last.contains(where: \.isLetter), !last.hasPrefix("0x") else { return false }
    return !host.contains(".") || [".local", ".internal", ".localhost"].contains { host.hasSuffix($0) }
  }

  private static func isPrivate(_ first: UInt8, _ second: UInt8) -> Bool {
    switch (first, second) {
    case (127, _), (10, _), (192, 168), (169, 254), (172, 16...31), (100, 64...127): true
    default: false
    }
  }

  private static func isPrivateIPv6(_ host: String) -> Bool {
    if host == "[::1]" { return true }
    guard let first = UInt16(host.dropFirst().prefix { $0 != ":" }, radix: 16) else { return false }
    return first & 0xFE00 == 0xFC00 || first & 0xFFC0 == 0xFE80
  }
}

/// Services whose hosts name the region, and perhaps the bucket.
enum StoreProvider {
  private enum Region {
    /// The label before the suffix.
    case label
    case fixed(String)
  }

  private struct Entry {
    var suffix: String
    /// Whether the hosts have the form `s3.region.suffix` and not `region.suffix`.
    var hasS3: Bool
    var region: Region
    init(_ suffix: String, s3: Bool, _ region: Region) { (self.suffix, hasS3, self.region) = (suffix, s3, region) }
  }

  // From the providers' pages, and from the patterns that Litestream knows (its s3/replica_client.go).
  private static let entries: [Entry] = [
    Entry("backblazeb2.com", s3: true, .label),
    Entry("wasabisys.com", s3: true, .label),
    Entry("scw.cloud", s3: true, .label),
    Entry("io.cloud.ovh.net", s3: true, .label),
    Entry("digitaloceanspaces.com", s3: false, .label),
    Entry("linodeobjects.com", s3: false, .label),
    Entry("your-objectstorage.com", s3: false, .label),
    Entry("r2.cloudflarestorage.com", s3: false, .fixed("auto")),
    Entry("storage.googleapis.com", s3: false, .fixed("auto")),
    Entry("fly.storage.tigris.dev", s3: false, .fixed("auto")),
    Entry("t3.storage.dev", s3: false, .fixed("auto")),
    Entry("filebase.com", s3: true, .fixed("us-east-1")),
  ]

  /// The region in a host's name, if it has one.
  static func region(ofHost host: String) -> String? {
    if let labels = labels(of: host, before: "amazonaws.com") ?? labels(of: host, before: "amazonaws.com.cn") {
      return awsRegion(labels)
    }
    for entry in entries {
      guard let labels = labels(of: host, before: entry.suffix) else { continue }
      switch entry.region {
      case .fixed(let region): return region
      case .label: return labels.last.flatMap { $0 == "s3" ? nil : $0 }
      }
    }
    return nil
  }

  /// The bucket and the endpoint of `bucket.host` or `host`; nil if the host is not known. The
  /// endpoint of AWS is nil.
  static func endpoint(in host: String) throws(StoreError) -> (bucket: String?, endpoint: StoreEndpoint?)? {
    let (name, _) = host.cut(":")
    if let bucket = labels(of: name, before: "localhost") {
      let local = host.dropFirst(bucket.isEmpty ? 0 : bucket.joined(separator: ".").count + 1)
      return (bucket.isEmpty ? nil : bucket.joined(separator: "."), try StoreEndpoint("http://\(local)"))
    }
    if let labels = labels(of: name, before: "amazonaws.com"), let s3 = labels.lastIndex(where: { $0.hasPrefix("s3") })
    {
      return (s3 == 0 ? nil : labels[..<s3].joined(separator: "."), nil)
    }
    for entry in entries {
      guard let labels = labels(of: name, before: entry.suffix) else { continue }
      let own = ownLabels(labels, entry)
      let bucket = labels.dropLast(own).joined(separator: ".")
      let endpoint = (labels.suffix(own) + [entry.suffix]).joined(separator: ".")
      return (bucket.isEmpty ? nil : bucket, try StoreEndpoint("https://\(endpoint)"))
    }
    return nil
  }

  /// How many labels before the suffix belong to the service and not to the bucket.
  private static func ownLabels(_ labels: [String], _ entry: Entry) -> Int {
    if entry.hasS3 { return labels.lastIndex(of: "s3").map { labels.count - $0 } ?? 0 }
    switch entry.suffix {
    // An account, perhaps with a jurisdiction: account.eu.r2.cloudflarestorage.com
    case "r2.cloudflarestorage.com": return ["eu", "fedramp"].contains(labels.last) ? 2 : 1
    case "storage.googleapis.com", "fly.storage.tigris.dev", "t3.storage.dev": return 0
    default: return 1
    }
  }

  private static func awsRegion(_ labels: [String]) -> String? {
    guard let s3 = labels.lastIndex(where: { $0.hasPrefix("s3") }) else { return nil }
    if let region = labels[s3...].dropFirst().last, region != "dualstack" { return region }
    // The old form s3-eu-west-1.
    return labels[s3].after("s3-").flatMap { $0 == "accelerate" ? nil : $0 }
  }

  private static func labels(of host: String, before suffix: String) -> [String]? {
    if host == suffix { return [] }
    guard host.hasSuffix("." + suffix) else { return nil }
    return host.dropLast(suffix.count + 1).split(separator: ".").map(String.init)
  }
}
