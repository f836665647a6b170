import Names

/// The address of a store as people write it. It never contains a secret.
///
/// | form | known from |
/// |---|---|
/// | `s3://bucket/prefix?endpoint=https://host&region=…` | AWS, Litestream |
/// | `s3://bucket.host/prefix`, of a host in ``StoreProvider`` | Litestream |
/// | `s3:https://host/bucket/prefix`, `s3:host/bucket/prefix` | restic |
/// | `file:///path`, `/path`, `./path` | |
package enum StoreURL: Sendable, Hashable {
  case s3(S3Location)
  /// The path of a folder, as it was given.
  case folder(String)

  /// Throws `invalid` with the reason.
  package init(_ text: String) throws(StoreError) {
    if let rest = text.after("s3://") {
      self = .s3(try S3Location(bucketFirst: rest))
    } else if let rest = text.after("s3:") {
      self = .s3(try S3Location(hostFirst: rest))
    } else if let rest = text.after("file://") {
      self = .folder(try Self.path(ofFileURL: rest))
    } else {
      try Self.refuseScheme(text)
      guard !text.isEmpty, !text.utf8.contains(0) else { throw StoreURL.fault("the address of a store is empty") }
      self = .folder(text)
    }
  }

  private static func path(ofFileURL rest: String) throws(StoreError) -> String {
    let path = rest.after("localhost") ?? rest
    guard path.hasPrefix("/"), !path.utf8.contains(UInt8(ascii: "?")) else {
      throw fault("write the folder as an absolute path: file:///path")
    }
    return try decoded(path)
  }

  /// Says what to write instead of an address that this version does not serve.
  private static func refuseScheme(_ text: String) throws(StoreError) {
    let scheme = String(text.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "+") })
    guard text.dropFirst(scheme.count).hasPrefix(":") else { return }
    switch scheme.lowercased() {
    case "http", "https": throw fault("write an S3 store as s3://bucket/prefix?endpoint=\(scheme)://host")
    case "gs", "gcs", "azure", "abs", "sftp", "ssh", "nats", "oss", "webdav", "rclone", "b2", "rest", "exec":
      throw fault("this version has no store of the kind \(scheme): it has s3:// and folders")
    default:
      guard text.dropFirst(scheme.count).hasPrefix("://") else { return }
      throw fault("there is no store of the kind \(scheme): write s3://bucket/prefix or the path of a folder")
    }
  }

  /// Text as one part of an address.
  package static func encoded(_ text: String) -> String { PercentEncoding.encode(text.pathBytes) }

  static func decoded(_ text: String) throws(StoreError) -> String {
    guard let bytes = PercentEncoding.decode(text.pathBytes, plusIsSpace: false), !bytes.contains(0) else {
      throw fault("a % in the address is not followed by two hexadecimal digits; write %25 for %")
    }
    return bytes.withUnsafeBytes { String(pathBytes: $0) }
  }

  static func fault(_ message: String) -> StoreError { StoreError(.invalid, message) }
}

/// A bucket, the prefix of its keys, and the service that has it.
package struct S3Location: Sendable, Hashable {
  package var bucket: String
  /// Without `/` at its ends; may be empty.
  package var prefix: String
  /// Nil for AWS itself.
  package var endpoint: StoreEndpoint?
  /// Nil if neither the address nor the host contains it.
  package var region: String?
  /// Whether the bucket is in the path and not in the host's name; nil for the usual choice.
  package var pathStyle: Bool?
  /// 2, or 1 for old servers that do not know `ListObjectsV2`.
  package var listVersion = 2

  /// `bucket/prefix?…`, or `bucket.host/prefix?…` if the host is known.
  init(bucketFirst text: String) throws(StoreError) {
    let (place, query) = try Self.split(text)
    let (first, rest) = place.cut("/")
    if let known = try StoreProvider.endpoint(in: first) {
      let bucket = known.bucket ?? rest.cut("/").0
      try self.init(bucket: bucket, prefix: known.bucket == nil ? rest.cut("/").1 : rest)
      endpoint = known.endpoint
      region = known.endpoint.flatMap { StoreProvider.region(ofHost: $0.host) } ?? StoreProvider.region(ofHost: first)
    } else {
      guard !first.contains(":") else {
        throw StoreURL.fault("write the host as an endpoint: s3://bucket/prefix?endpoint=https://host:port")
      }
      try self.init(bucket: first, prefix: rest)
    }
    try apply(query)
  }

  /// `[http[s]://]host[:port]/bucket/prefix?…`
  init(hostFirst text: String) throws(StoreError) {
    let (place, query) = try Self.split(text)
    let scheme = place.after("http://") != nil ? "http://" : "https://"
    let (host, rest) = (place.after(scheme) ?? place).cut("/")
    let (bucket, prefix) = rest.cut("/")
    try self.init(bucket: bucket, prefix: prefix)
    let isAWS = host.hasSuffix("amazonaws.com")
    endpoint = isAWS ? nil : try StoreEndpoint(scheme + host)
    region = StoreProvider.region(ofHost: host)
    try apply(query)
  }

  private init(bucket: String, prefix: String) throws(StoreError) {
    let allowed = bucket.utf8.allSatisfy { PercentEncoding.encode([$0]).utf8.count == 1 && $0 != UInt8(ascii: "~") }
    guard (1...255).contains(bucket.utf8.count), allowed, !bucket.hasPrefix("."), !bucket.hasPrefix("-") else {
      throw StoreURL.fault("'\(bucket.printable)' is not the name of a bucket: write s3://bucket/prefix")
    }
    self.bucket = bucket
    var parts = prefix[...]
    while parts.first == "/" { parts.removeFirst() }
    while parts.last == "/" { parts.removeLast() }
    self.prefix = try StoreURL.decoded(String(parts))
    if !self.prefix.isEmpty { _ = try ObjectKey.parts(self.prefix) }
  }

  private static func split(_ text: String) throws(StoreError) -> (place: String, query: String) {
    let (place, query) = text.cut("?")
    let afterScheme = place.after("https://") ?? place.after("http://") ?? place
    if afterScheme.cut("/").0.contains("@") {
      throw StoreURL.fault(
        "the address of a store contains a user or a password: use the environment or credentials_file")
    }
    return (place, query)
  }

  private mutating func apply(_ query: String) throws(StoreError) {
    for item in query.split(separator: "&") {
      let (name, encoded) = String(item).cut("=")
      let value = try StoreURL.decoded(encoded)
      switch name {
      case "endpoint":
        endpoint = try StoreEndpoint(value)
        if region == nil { region = endpoint.flatMap { StoreProvider.region(ofHost: $0.host) } }
      case "region":
        guard Self.isRegion(value) else { throw StoreURL.fault("'\(value.printable)' is not the name of a region") }
        region = value
      case "path-style", "force-path-style", "forcePathStyle":
        guard value == "true" || value == "false" else { throw StoreURL.fault("\(name) is true or false") }
        pathStyle = value == "true"
      case "list":
        guard value == "1" || value == "2" else { throw StoreURL.fault("list is 1 or 2, the version of listings") }
        listVersion = value == "1" ? 1 : 2
      default:
        throw StoreURL.fault(
          "the address has an unknown option '\(name.printable)'; known: endpoint, region, path-style, list")
      }
    }
  }

  /// A region becomes a part of a host's name, so it has letters, digits and hyphens only.
  static func isRegion(_ text: String) -> Bool {
    (1...64).contains(text.utf8.count)
      && text.utf8.allSatisfy {
        PercentEncoding.encode([$0]).utf8.count == 1 && ![UInt8(ascii: "."), UInt8(ascii: "~")].contains($0)
      }
  }
}

extension String {
  /// The text behind a prefix; nil if it does not begin with it.
  func after(_ prefix: String) -> String? { hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil }

  /// The text before and behind the first occurrence of a separator.
  func cut(_ separator: Character) -> (String, String) {
    guard let index = firstIndex(of: separator) else { return (self, "") }
    return (String(self[..<index]), String(self[self.index(after: index)...]))
  }
}
