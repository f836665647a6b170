import Names
import Transfer

/// A prefix of a bucket in S3 or a compatible service.
///
/// Requests carry the integrity headers that all services take: `Content-Length`,
/// `x-amz-content-sha256` with the real digest, and `Content-MD5`; never trailers, chunked
/// signatures or `x-amz-checksum-…`, which several compatible services refuse. Redirects are not
/// followed. The API: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
package final class S3Store: ObjectStore {
  private let exchange: S3Exchange
  let location: S3Location
  private let settings: S3Settings

  /// - Parameter client: with the proxy and certificates of this store. Its calls may come from
  ///   several threads.
  package init(
    _ location: S3Location, credentials: any CredentialSource, client: any HTTPClient,
    settings: S3Settings = S3Settings()
  ) {
    (self.location, self.settings) = (location, settings)
    exchange = S3Exchange(location, credentials: credentials, client: client, settings: settings)
  }

  /// How far the store's clock is ahead of this machine's, milliseconds; 0 until a request was
  /// refused for that reason.
  package var clockOffset: Int64 { exchange.clockOffset }

  package var observedDrift: Int64? { exchange.observedDrift }

  package var keyPrefix: String { location.prefix.isEmpty ? "" : location.prefix + "/" }

  /// A setting of the bucket, for example `versioning`. Throws `missing` if it was never made.
  func bucketSetting(_ name: String) throws(StoreError) -> XMLElement {
    var request = S3Request(action: "cannot read the \(name) of the bucket", method: .get)
    request.query = [(name, "")]
    let response = try exchange.perform(request)
    do throws(XMLReader.Failure) {
      return try XMLReader.read(response.body)
    } catch {
      throw StoreError(.malformed, "\(request.action): \(error.reason)")
    }
  }

  package func put(_ key: String, _ content: ObjectContent, _ options: PutOptions) throws(StoreError) {
    let path = try path(key)
    guard content.length <= settings.multipartThreshold else {
      let upload = MultipartUpload(exchange: exchange, key: key, path: path, content: content, options: options)
      return try upload.run { () throws(StoreError) in try headIfAllowed(key) }
    }
    var request = S3Request(action: "cannot store \(key.printable)", method: .put, key: path)
    try request.setBody(content, 0..<content.length, md5: settings.sendsMD5, sha256: content.sha256)
    request.headers += Self.headers(options)
    if let sent = options.sent { request.sent = { _ = sent($0) } }
    try Self.requireTag(exchange.perform(request), request.action)
  }

  /// Every store answers an upload with the tag of the object. A proxy or a login page that answers
  /// each request with success stored nothing.
  private static func requireTag(_ response: HTTPResponse, _ action: String) throws(StoreError) {
    guard let tag = response.header("etag"), !tag.isEmpty else {
      throw StoreError(
        .malformed, "\(action): the answer has no ETag, so something else answers in place of the store")
    }
  }

  package func get(_ key: String, range: Range<Int64>?, into sink: HTTPSink) throws(StoreError) -> ObjectData {
    var request = S3Request(action: "cannot fetch \(key.printable)", method: .get, key: try path(key))
    if let range {
      guard !range.isEmpty else { return ObjectData(bytes: [], count: 0) }
      request.headers = [("Range", "bytes=\(range.lowerBound)-\(range.upperBound - 1)")]
    }
    let response = try exchange.perform(request, into: sink)
    guard range == nil || response.status == 206 else {
      throw StoreError(.unsupported, "\(request.action): the store ignores the range of a request")
    }
    if let range, response.received > Int64(range.count) {
      throw StoreError(.malformed, "\(request.action): the store sent more bytes than were asked for")
    }
    return ObjectData(bytes: response.body, count: response.received)
  }

  package func head(_ key: String) throws(StoreError) -> ObjectInfo? {
    let request = S3Request(action: "cannot look up \(key.printable)", method: .head, key: try path(key))
    do throws(StoreError) {
      let response = try exchange.perform(request)
      guard let size = response.header("content-length").flatMap({ Int64($0) }), size >= 0 else {
        throw StoreError(.malformed, "\(request.action): the answer has no size")
      }
      let modified = response.header("last-modified").flatMap { StoreTime.parse(httpDate: $0) }
      return ObjectInfo(key: key, size: size, modified: modified)
    } catch {
      guard error.kind == .missing else { throw error }
      return nil
    }
  }

  /// Credentials that can only put may not look; the object then counts as missing. Another upload
  /// loses nothing, because a key names its content.
  private func headIfAllowed(_ key: String) throws(StoreError) -> ObjectInfo? {
    do throws(StoreError) {
      return try head(key)
    } catch {
      guard error.kind == .denied else { throw error }
      return nil
    }
  }

  package func delete(_ key: String) throws(StoreError) {
    let request = S3Request(action: "cannot remove \(key.printable)", method: .delete, key: try path(key))
    do throws(StoreError) {
      _ = try exchange.perform(request)
    } catch {
      guard error.kind == .missing else { throw error }
    }
  }

  package func abandon(_ upload: UploadState) throws(StoreError) {
    let request = S3Request(
      action: "cannot end the upload of \(upload.key.printable)", method: .delete, key: try path(upload.key),
      query: [("uploadId", upload.uploadID)])
    do throws(StoreError) {
      _ = try exchange.perform(request)
    } catch {
      guard error.kind == .missing else { throw error }
    }
  }

  /// One page of uploads: the rest follows the next time.
  package func removeLeftovers(
    in folder: String, olderThan age: Int64, except kept: UploadState?
  ) throws(StoreError) -> Int {
    var request = S3Request(action: "cannot list the unfinished uploads", method: .get)
    request.query = [("uploads", ""), ("prefix", keyPrefix + folder + "/"), ("encoding-type", "url")]
    let uploads = try ListingXML.uploads(try exchange.perform(request).body)
    let end = settings.now() + (observedDrift ?? 0) - age
    var removed = 0
    for upload in uploads where upload.begun < end && upload.id != kept?.uploadID {
      let key = try Self.relative(upload.key, keyPrefix, folder + "/")
      guard ObjectKey.isUsable(key) else { continue }
      try abandon(UploadState(key: key, uploadID: upload.id, sha256: "", size: 0, partSize: 0))
      removed += 1
    }
    return removed
  }

  package func list(_ query: ListQuery) throws(StoreError) -> ListPage {
    var request = S3Request(action: "cannot list the store", method: .get)
    request.query = parameters(query)
    let response = try exchange.perform(request)
    let listed = try ListingXML.page(response.body, of: query)
    let prefix = location.prefix.isEmpty ? "" : location.prefix + "/"
    var page = ListPage(objects: [], folders: [], next: listed.next)
    for object in listed.objects {
      let key = try Self.relative(object.key, prefix, query.prefix)
      // Consoles create objects with a `/` at the end as folders.
      guard ObjectKey.isUsable(key) else { continue }
      page.objects.append(ObjectInfo(key: key, size: object.size, modified: object.modified))
    }
    for folder in listed.folders {
      let key = try Self.relative(folder, prefix, query.prefix)
      if ObjectKey.isUsable(String(key.dropLast())) { page.folders.append(key) }
    }
    return page
  }

  private func parameters(_ query: ListQuery) -> [(name: String, value: String)] {
    let prefix = location.prefix.isEmpty ? "" : location.prefix + "/"
    var parameters = [
      (name: "prefix", value: prefix + query.prefix), ("max-keys", String(query.pageSize)), ("encoding-type", "url"),
    ]
    if query.groupsFolders { parameters.append(("delimiter", "/")) }
    let behind = query.startAfter.map { prefix + $0 }
    if location.listVersion == 1 {
      if let marker = query.token ?? behind { parameters.append(("marker", marker)) }
      return parameters
    }
    parameters.append(("list-type", "2"))
    if let token = query.token { parameters.append(("continuation-token", token)) }
    if let behind, query.token == nil { parameters.append(("start-after", behind)) }
    return parameters
  }

  /// A key without the prefix of the location. Throws if the store lists what was not asked for.
  private static func relative(_ key: String, _ prefix: String, _ asked: String) throws(StoreError) -> String {
    guard key.utf8.starts(with: (prefix + asked).utf8) else {
      throw StoreError(.malformed, "the store lists names that were not asked for")
    }
    return String(decoding: key.utf8.dropFirst(prefix.utf8.count), as: UTF8.self)
  }

  private func path(_ key: String) throws(StoreError) -> String {
    _ = try ObjectKey.parts(key)
    let path = location.prefix.isEmpty ? key : "\(location.prefix)/\(key)"
    _ = try ObjectKey.parts(path)
    return path
  }

  static func headers(_ options: PutOptions) -> [(name: String, value: String)] {
    var headers: [(name: String, value: String)] = []
    if options.createOnly { headers.append(("If-None-Match", "*")) }
    if let storageClass = options.storageClass { headers.append(("x-amz-storage-class", storageClass)) }
    return headers
  }
}

extension S3Request {
  /// Sets body and digests for a range of a content.
  ///
  /// - Parameter sha256: the digest if it is known; then `changed` is thrown if the content has
  ///   another one.
  mutating func setBody(
    _ content: ObjectContent, _ range: Range<Int64>, md5: Bool, sha256 known: [UInt8]? = nil
  ) throws(StoreError) {
    let digests = try content.digests(range, md5: md5)
    guard known == nil || digests.sha256 == known else {
      throw StoreError(.changed, "\(action): the content has changed since its digest was taken")
    }
    setBody(content, range, digests)
  }

  /// - Parameter digests: of the range.
  mutating func setBody(_ content: ObjectContent, _ range: Range<Int64>, _ digests: ContentDigests) {
    let action = action
    contentSHA256 = digests.sha256.hexText
    if let value = digests.md5 { optionalHeaders.append(("Content-MD5", value.base64Text)) }
    switch content.source {
    case .bytes(let bytes): body = .bytes(Array(bytes[Int(range.lowerBound)..<Int(range.upperBound)]))
    case .file(let descriptor, let offset, _):
      body = .file(descriptor: descriptor, offset: offset + range.lowerBound, length: Int64(range.count))
    }
    checkContent = { () throws(StoreError) in
      guard try content.digests(range, md5: false).sha256 == digests.sha256 else {
        throw StoreError(.changed, "\(action): the content has changed since its digest was taken")
      }
    }
  }
}
