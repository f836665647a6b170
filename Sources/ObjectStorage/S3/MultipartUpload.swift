import Names
import Transfer

/// An upload in parts: begin, one request a part, complete. Nothing is visible before the last.
///
/// https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
struct MultipartUpload: Sendable {
  let exchange: S3Exchange
  let key: String
  /// The key with the prefix of the location.
  let path: String
  let content: ObjectContent
  let options: PutOptions

  private var action: String { "cannot store \(key.printable)" }

  /// - Parameter head: looks the object up, if it is not known whether the store has completed it.
  func run(_ head: () throws(StoreError) -> ObjectInfo?) throws(StoreError) {
    if let state = options.resume, isOfThisContent(state) {
      if let parts = try finishedParts(state) { return try finish(state, parts, head) }
      // The upload is unknown: an earlier run completed or removed it.
      if try head()?.size == content.length { return }
    }
    let state = try begin()
    options.began?(state)
    try finish(state, [:], head)
  }

  private func isOfThisContent(_ state: UploadState) -> Bool {
    state.key == key && state.sha256 == content.sha256.hexText && state.size == content.length
      && state.partSize > 0 && state.size / state.partSize < 10_000
  }

  private func begin() throws(StoreError) -> UploadState {
    var request = S3Request(action: action, method: .post, key: path, query: [("uploads", "")])
    request.headers = [("Content-Type", "application/octet-stream")]
    request.headers += S3Store.headers(options).filter { $0.name != "If-None-Match" }
    let id = try ListingXML.uploadID(try exchange.perform(request).body)
    return UploadState(
      key: key, uploadID: id, sha256: content.sha256.hexText, size: content.length,
      partSize: exchange.settings.partSize(of: content.length))
  }

  /// The parts that the store has, by number; nil if it does not know the upload.
  private func finishedParts(_ state: UploadState) throws(StoreError) -> [Int: ListingXML.Part]? {
    var parts: [Int: ListingXML.Part] = [:]
    var marker: String?
    repeat {
      var request = S3Request(action: action, method: .get, key: path, query: [("uploadId", state.uploadID)])
      if let marker { request.query.append(("part-number-marker", marker)) }
      do throws(StoreError) {
        let page = try ListingXML.parts(try exchange.perform(request).body)
        for part in page.parts { parts[part.number] = part }
        guard page.next == nil || page.next != marker else {
          throw StoreError(.malformed, "\(action): the list of parts does not end")
        }
        marker = page.next
      } catch {
        guard error.kind == .missing else { throw error }
        return nil
      }
    } while marker != nil
    return parts
  }

  private func finish(
    _ state: UploadState, _ finished: [Int: ListingXML.Part], _ head: () throws(StoreError) -> ObjectInfo?
  ) throws(StoreError) {
    var (parts, missing) = divide(state, finished)
    let meter = UploadMeter(parts, options.sent)
    let check = ContentCheck(content)
    let waitForCheck = check.start()
    let settings = exchange.settings
    let queue = PartQueue(missing, of: content, md5: settings.sendsMD5, width: settings.parallelParts)
    let sent = Result { () throws(StoreError) in
      try queue.run { item, digests throws(StoreError) in try send(state, item, digests, meter) }
    }
    if case .failure = sent { check.cancel() }
    do throws(StoreError) {
      try waitForCheck()
    } catch {
      // Parts of a wrong content must not be continued.
      try? abort(state)
      throw error
    }
    parts += try sent.get()
    parts.sort { $0.number < $1.number }
    try complete(state, parts, head)
  }

  /// The parts that the store has, and those that are to be sent.
  private func divide(
    _ state: UploadState, _ finished: [Int: ListingXML.Part]
  ) -> (finished: [ListingXML.Part], missing: [PartQueue.Item]) {
    var parts: [ListingXML.Part] = []
    var missing: [PartQueue.Item] = []
    for start in stride(from: 0, to: content.length, by: Int64.Stride(state.partSize)) {
      let number = Int(start / state.partSize) + 1
      let range = start..<min(start + state.partSize, content.length)
      if let part = finished[number], part.size == Int64(range.count) {
        parts.append(part)
      } else {
        missing.append(PartQueue.Item(number: number, range: range))
      }
    }
    return (parts, missing)
  }

  private func send(
    _ state: UploadState, _ item: PartQueue.Item, _ digests: ContentDigests, _ meter: UploadMeter
  ) throws(StoreError) -> ListingXML.Part {
    var request = S3Request(action: action, method: .put, key: path)
    request.query = [("partNumber", String(item.number)), ("uploadId", state.uploadID)]
    request.setBody(content, item.range, digests)
    request.sent = { meter.record(item.number, $0) }
    guard let etag = try exchange.perform(request).header("etag"), !etag.isEmpty else {
      throw StoreError(.malformed, "\(action): the answer to part \(item.number) has no tag")
    }
    options.partStored?()
    return ListingXML.Part(number: item.number, size: Int64(item.range.count), etag: etag)
  }

  private func abort(_ state: UploadState) throws(StoreError) {
    _ = try exchange.perform(
      S3Request(action: action, method: .delete, key: path, query: [("uploadId", state.uploadID)]))
  }

  private func complete(
    _ state: UploadState, _ parts: [ListingXML.Part], _ head: () throws(StoreError) -> ObjectInfo?
  ) throws(StoreError) {
    let body = ListingXML.completion(parts)
    var request = S3Request(action: action, method: .post, key: path, query: [("uploadId", state.uploadID)])
    request.headers = [("Content-Type", "application/xml")]
    if options.createOnly { request.headers.append(("If-None-Match", "*")) }
    (request.body, request.contentSHA256) = (.bytes(body), Digest.sha256(body).hexText)
    do throws(StoreError) {
      let response = try exchange.perform(request)
      if ListingXML.error(response.body) != nil { throw exchange.error(response, request) }
      try ListingXML.checkCompletion(response.body)
    } catch {
      // The name is taken, so nobody will continue this upload.
      if error.kind == .exists { try? abort(state) }
      // An earlier attempt may have completed it, and its answer was lost.
      guard error.code == "NoSuchUpload", try head()?.size == content.length else { throw error }
    }
  }
}
