import CCurl

/// One of libcurl's easy handles with the memory that it refers to. Belongs to the loop's thread.
final class EasyHandle {
  let pointer: UnsafeMutableRawPointer
  /// The first option that libcurl refused.
  private(set) var refusal: CURLcode = CURLE_OK
  /// libcurl keeps their addresses.
  private var lists: [UnsafeMutablePointer<curl_slist>] = []
  // On the heap, because libcurl keeps the address.
  private let message = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))

  init?() {
    guard let pointer = curl_easy_init() else {
      message.deallocate()
      return nil
    }
    self.pointer = pointer
    message.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    note(ccurl_set_pointer(pointer, CURLOPT_ERRORBUFFER, message))
  }

  deinit {
    curl_easy_cleanup(pointer)
    lists.forEach { curl_slist_free_all($0) }
    message.deallocate()
  }

  /// libcurl's words for the failure; may be empty.
  var detail: String { String(cString: message) }

  func set(_ option: CURLoption, _ value: Int) { note(ccurl_set_long(pointer, option, value)) }

  func set(_ option: CURLoption, _ value: Bool) { note(ccurl_set_long(pointer, option, value ? 1 : 0)) }

  /// The same for an option that an older or smaller libcurl does not have, and that is no loss.
  func prefer(_ option: CURLoption, _ value: Int) {
    let code = ccurl_set_long(pointer, option, value)
    if code != CURLE_UNKNOWN_OPTION, code != CURLE_NOT_BUILT_IN { note(code) }
  }

  func prefer(_ option: CURLoption, _ value: String?) {
    let code = ccurl_set_text(pointer, option, value)
    if code != CURLE_UNKNOWN_OPTION, code != CURLE_NOT_BUILT_IN { note(code) }
  }

  func closeSocketsOnExec() { note(ccurl_close_sockets_on_exec(pointer)) }

  func allowWebOnly() { note(ccurl_allow_web_only(pointer)) }

  func allowMailOnly() { note(ccurl_allow_mail_only(pointer)) }

  func set(_ option: CURLoption, _ value: String?) { note(ccurl_set_text(pointer, option, value)) }

  func set(_ option: CURLoption, offset: Int64) { note(ccurl_set_offset(pointer, option, curl_off_t(offset))) }

  func set(_ option: CURLoption, context: UnsafeMutableRawPointer) { note(ccurl_set_pointer(pointer, option, context)) }

  func set(_ option: CURLoption, _ function: ccurl_data_function) {
    note(ccurl_set_function(pointer, option, function))
  }

  func set(seek function: ccurl_seek_function) { note(ccurl_set_seek(pointer, function)) }

  func set(progress function: ccurl_progress_function) { note(ccurl_set_progress(pointer, function)) }

  /// - Parameter lines: at least one, as an option such as `CURLOPT_HTTPHEADER` takes them.
  func set(_ option: CURLoption, lines: [String]) {
    var list: UnsafeMutablePointer<curl_slist>?
    for line in lines {
      guard let longer = curl_slist_append(list, line) else {
        curl_slist_free_all(list)
        return note(CURLE_OUT_OF_MEMORY)
      }
      list = longer
    }
    if let list { lists.append(list) }
    note(ccurl_set_pointer(pointer, option, list))
  }

  func long(_ info: CURLINFO) -> Int {
    var value = 0
    return ccurl_get_long(pointer, info, &value) == CURLE_OK ? value : 0
  }

  func offset(_ info: CURLINFO) -> Int64 {
    var value: curl_off_t = 0
    return ccurl_get_offset(pointer, info, &value) == CURLE_OK ? Int64(value) : 0
  }

  private func note(_ code: CURLcode) {
    if code != CURLE_OK, refusal == CURLE_OK { refusal = code }
  }
}
