/// The XML of a bucket's settings.
///
/// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLifecycleConfiguration.html and the
/// pages beside it.
enum BucketXML {
  static func versioning(_ root: XMLElement) -> BucketSettings.Versioning {
    switch root.text("Status") {
    case "Enabled": .enabled
    case "Suspended": .suspended
    default: .off
    }
  }

  static func lifecycle(_ root: XMLElement) -> [LifecycleRule] { root.children("Rule").map(rule) }

  static func lock(_ root: XMLElement) -> BucketSettings.Lock {
    var lock = BucketSettings.Lock()
    lock.isEnabled = root.text("ObjectLockEnabled") == "Enabled"
    guard let retention = root.first("Rule")?.first("DefaultRetention") else { return lock }
    lock.mode = retention.text("Mode")
    let years = number(retention, "Years").map { $0.multipliedReportingOverflow(by: 365).partialValue }
    lock.days = [number(retention, "Days"), years].compactMap { $0 }.max()
    return lock
  }

  private static func rule(_ element: XMLElement) -> LifecycleRule {
    let filter = element.first("Filter")
    let conditions = filter?.first("And") ?? filter
    var rule = LifecycleRule(
      id: element.text("ID") ?? "", prefix: conditions?.text("Prefix") ?? element.text("Prefix") ?? "",
      isEnabled: element.text("Status") == "Enabled")
    rule.isFiltered = conditions?.children.contains { $0.name != "Prefix" } ?? false
    if let expiration = element.first("Expiration") {
      rule.removesAfter =
        expiration.text("Days").map { "after \($0) days" } ?? expiration.text("Date").map { "on \($0.prefix(10))" }
    }
    rule.freesVersionsAfter = element.first("NoncurrentVersionExpiration").flatMap { number($0, "NoncurrentDays") }
    rule.freesUploadsAfter = element.first("AbortIncompleteMultipartUpload").flatMap {
      number($0, "DaysAfterInitiation")
    }
    rule.classes = element.children("Transition").compactMap { $0.text("StorageClass") }
    return rule
  }

  private static func number(_ element: XMLElement, _ name: String) -> Int? {
    element.text(name).flatMap { Int($0) }.flatMap { (1...100_000).contains($0) ? $0 : nil }
  }
}

extension S3Store: BucketReader {
  package func bucketSettings() throws(StoreError) -> BucketSettings {
    BucketSettings(
      versioning: try read("versioning", BucketXML.versioning), lifecycle: try read("lifecycle", BucketXML.lifecycle),
      lock: try read("object-lock", BucketXML.lock))
  }

  /// - Parameter value: reads the setting; for one that was never made, it gets an empty element.
  private func read<Value>(
    _ name: String, _ value: (XMLElement) -> Value
  ) throws(StoreError) -> BucketSettings.Reading<Value> {
    do throws(StoreError) {
      return .known(value(try bucketSetting(name)))
    } catch {
      switch error.kind {
      case .missing: return .known(value(XMLElement(name: name)))
      case .denied: return .denied
      case .unsupported, .malformed, .invalid, .other: return .unsupported
      default: throw error
      }
    }
  }
}
