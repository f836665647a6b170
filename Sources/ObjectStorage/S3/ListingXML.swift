import Names

/// The XML answers of S3: listings, parts of an upload, results and errors.
///
/// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html and the pages beside it.
enum ListingXML {
  /// An `<Error>`, also in an answer with status 200.
  struct ErrorAnswer: Equatable {
    var code: String
    var message: String
    /// The region of the bucket, if the request was signed for another.
    var region: String?
  }

  /// A finished part of an upload. The ETag is a token, not a checksum.
  struct Part: Equatable {
    var number: Int
    var size: Int64
    var etag: String
  }

  /// Nil if the body is not an error answer.
  static func error(_ body: [UInt8]) -> ErrorAnswer? {
    guard let root = try? XMLReader.read(body) else { return nil }
    // STS wraps it in <ErrorResponse>.
    let error = root.name == "Error" ? root : root.first("Error")
    guard let error, let code = error.text("Code") else { return nil }
    return ErrorAnswer(
      code: String(code.prefix(64)).printable, message: String((error.text("Message") ?? "").prefix(300)).printable,
      region: error.text("Region").flatMap { S3Location.isRegion($0) ? $0 : nil })
  }

  /// A page of `ListObjectsV2`, or of `ListObjects` if the query had no version.
  static func page(_ body: [UInt8], of query: ListQuery) throws(StoreError) -> ListPage {
    let root = try document(body, named: "ListBucketResult")
    let encoded = root.text("EncodingType") == "url"
    var page = ListPage(objects: [], folders: [], next: nil)
    for entry in root.children("Contents") { page.objects.append(try object(entry, encoded)) }
    for group in root.children("CommonPrefixes") { page.folders.append(try key(group.first("Prefix"), encoded)) }
    guard root.text("IsTruncated") == "true" else { return page }
    var next = query
    next.token = root.text("NextContinuationToken")
    if next.token == nil {
      // Version 1: the marker, else the last key or folder of the page.
      let marker = try root.first("NextMarker").map { element throws(StoreError) in try key(element, encoded) }
      let last = [page.objects.last?.key, page.folders.last].compactMap { $0 }
        .max { $0.pathBytes.lexicographicallyPrecedes($1.pathBytes) }
      next.token = marker ?? last
    }
    guard next != query else { throw malformed("a page of the listing does not say where the next one begins") }
    page.next = next
    return page
  }

  /// The answer of `ListParts`, and the part behind which the next page begins.
  static func parts(_ body: [UInt8]) throws(StoreError) -> (parts: [Part], next: String?) {
    let root = try document(body, named: "ListPartsResult")
    var parts: [Part] = []
    for entry in root.children("Part") {
      guard let number = entry.text("PartNumber").flatMap({ Int($0) }), (1...10_000).contains(number),
        let size = entry.text("Size").flatMap({ Int64($0) }), size >= 0, let etag = entry.text("ETag"), !etag.isEmpty
      else { throw malformed("a part without number, size or tag") }
      parts.append(Part(number: number, size: size, etag: etag))
    }
    guard root.text("IsTruncated") == "true" else { return (parts, nil) }
    guard let next = root.text("NextPartNumberMarker"), let number = Int(next), number >= parts.last?.number ?? 1 else {
      throw malformed("a page of parts does not say where the next one begins")
    }
    return (parts, next)
  }

  /// An upload in parts that has not ended.
  struct Upload: Equatable {
    var key: String
    var id: String
    /// By the store's clock, milliseconds since the epoch.
    var begun: Int64
  }

  /// A page of `ListMultipartUploads`.
  static func uploads(_ body: [UInt8]) throws(StoreError) -> [Upload] {
    let root = try document(body, named: "ListMultipartUploadsResult")
    let encoded = root.text("EncodingType") == "url"
    var uploads: [Upload] = []
    for entry in root.children("Upload") {
      guard let id = entry.text("UploadId"), !id.isEmpty,
        let begun = entry.text("Initiated").flatMap(StoreTime.parse(iso8601:))
      else { throw malformed("an upload without ID or time") }
      uploads.append(Upload(key: try key(entry.first("Key"), encoded), id: id, begun: begun))
    }
    return uploads
  }

  /// The ID in the answer of `CreateMultipartUpload`.
  static func uploadID(_ body: [UInt8]) throws(StoreError) -> String {
    guard let id = try document(body, named: "InitiateMultipartUploadResult").text("UploadId"), !id.isEmpty,
      id.utf8.count <= 1024
    else { throw malformed("an upload without ID") }
    return id
  }

  /// Throws unless the body says that an upload is complete. An error may come with status 200.
  static func checkCompletion(_ body: [UInt8]) throws(StoreError) {
    let root = try document(body, named: "CompleteMultipartUploadResult")
    guard let etag = root.text("ETag"), !etag.isEmpty else { throw malformed("a complete upload without ETag") }
  }

  /// The body of `CompleteMultipartUpload`.
  static func completion(_ parts: [Part]) -> [UInt8] {
    let entries = parts.map { part in
      let tag = part.etag.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing("\"", with: "&quot;")
      return "<Part><PartNumber>\(part.number)</PartNumber><ETag>\(tag)</ETag></Part>"
    }
    let space = "http://s3.amazonaws.com/doc/2006-03-01/"
    return Array("<CompleteMultipartUpload xmlns=\"\(space)\">\(entries.joined())</CompleteMultipartUpload>".utf8)
  }

  static func document(_ body: [UInt8], named name: String) throws(StoreError) -> XMLElement {
    let root: XMLElement
    do throws(XMLReader.Failure) {
      root = try XMLReader.read(body)
    } catch {
      throw malformed("it is not XML of the expected form: \(error.reason)")
    }
    // Some servers call their results …Response.
    guard [name, name.replacing("Result", with: "Response")].contains(root.name) else {
      throw malformed("it is <\(root.name.printable)>, not <\(name)>")
    }
    return root
  }

  private static func object(_ entry: XMLElement, _ encoded: Bool) throws(StoreError) -> ObjectInfo {
    guard let size = entry.text("Size").flatMap({ Int64($0) }), size >= 0 else {
      throw malformed("an object without size")
    }
    return ObjectInfo(
      key: try key(entry.first("Key"), encoded), size: size,
      modified: entry.text("LastModified").flatMap(StoreTime.parse(iso8601:)))
  }

  /// S3 encodes keys in the form of HTML forms, with `+` for a space.
  private static func key(_ element: XMLElement?, _ encoded: Bool) throws(StoreError) -> String {
    guard let text = element?.text, !text.isEmpty else { throw malformed("an object without name") }
    guard let bytes = encoded ? PercentEncoding.decode(text, plusIsSpace: true) : text, !bytes.contains(0) else {
      throw malformed("a name that is not encoded as announced")
    }
    return bytes.withUnsafeBytes { String(pathBytes: $0) }
  }

  private static func malformed(_ reason: String) -> StoreError {
    StoreError(.malformed, "the store's answer cannot be understood: \(reason)")
  }
}
