import Glibc

/// An answer as it arrives: its head, then its body on the way into the sink. Belongs to the loop's
/// thread.
struct ResponseReader {
  /// A head that is longer is an attack or no answer of a store.
  static let headLimit = 64 << 10
  /// The text of an error fits in; the rest is of no use.
  static let errorBodyLimit = 64 << 10

  private let sink: HTTPSink
  private(set) var response = HTTPResponse(status: 0)
  private(set) var isHeadComplete = false
  private var headBytes = 0

  init(_ sink: HTTPSink) { self.sink = sink }

  /// A line of a head, as libcurl passes it on. A status line begins a new head, because
  /// `100 Continue` comes before the final one.
  mutating func readHeadLine(_ line: UnsafeRawBufferPointer) throws(TransferError) {
    headBytes += line.count
    guard headBytes <= Self.headLimit else {
      throw TransferError(.tooLarge, "the head of the answer is longer than 64 KiB")
    }
    let text = Self.trimmed(line[...])
    if line.starts(with: "HTTP/".utf8), isHeadComplete || response.status == 0 {
      (isHeadComplete, headBytes) = (false, line.count)
      response = HTTPResponse(status: Self.status(of: text))
    } else if text.isEmpty {
      isHeadComplete = true
    } else if !isHeadComplete {
      // Lines after the head are trailers, which no store sends for a reason.
      readField(text)
    }
  }

  /// A piece of the body. Returns false if no more of it is wanted.
  mutating func write(_ bytes: UnsafeRawBufferPointer) throws(TransferError) -> Bool {
    switch sink {
    case _ where !isSuccess:
      response.received += Int64(bytes.count)
      response.body.append(contentsOf: bytes.prefix(Self.errorBodyLimit - response.body.count))
      return response.body.count < Self.errorBodyLimit
    case _ where Int64(bytes.count) > sink.limit - response.received:
      throw TransferError(.tooLarge, "the answer is longer than \(sink.limit) bytes")
    case .memory: response.body.append(contentsOf: bytes)
    case .file(let descriptor, let offset, _):
      try Self.write(bytes, to: descriptor, at: offset + response.received)
    }
    response.received += Int64(bytes.count)
    return true
  }

  private var isSuccess: Bool { (200..<300).contains(response.status) }

  /// Bytes of a 2xx answer that are in the sink.
  var stored: Int64 { isSuccess ? response.received : 0 }

  private mutating func readField(_ line: Slice<UnsafeRawBufferPointer>) {
    guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { return }
    let value = Self.trimmed(line[line.index(after: colon)...])
    response.headers.append(
      (name: String(decoding: line[..<colon], as: UTF8.self), value: String(decoding: value, as: UTF8.self)))
  }

  /// The number in `HTTP/1.1 200 OK`; zero for every other line.
  private static func status(of line: Slice<UnsafeRawBufferPointer>) -> Int {
    let fields = line.split(separator: UInt8(ascii: " "), maxSplits: 2)
    return fields.count > 1 ? Int(String(decoding: fields[1], as: UTF8.self)) ?? 0 : 0
  }

  private static func trimmed(_ text: Slice<UnsafeRawBufferPointer>) -> Slice<UnsafeRawBufferPointer> {
    let isSpace: (UInt8) -> Bool = { $0 == 0x20 || (0x09...0x0d).contains($0) }
    guard let end = text.lastIndex(where: { !isSpace($0) }) else { return text.prefix(0) }
    return text[...end].drop(while: isSpace)
  }

  private static func write(
    _ bytes: UnsafeRawBufferPointer, to descriptor: Int32, at offset: Int64
  ) throws(TransferError) {
    var done = 0
    while done < bytes.count {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
      let count = pwrite(descriptor, rest.baseAddress, rest.count, off_t(offset + Int64(done)))
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw .localFile(count < 0 ? errno : EIO, "cannot write the received file") }
      done += count
    }
  }
}
