import BackupPolicy
import Glibc

/// The connection of one client: reads one request, then writes answers. Belongs to the thread of
/// ``ControlServer``. No operation blocks.
struct ControlConnection {
  private enum Phase {
    /// The line of the request is not complete yet.
    case receiving([UInt8])
    /// The request was passed on; more answers may come.
    case answering
    /// Only the rest of the output is missing.
    case ending
    case over
  }

  /// A client may be slow in sending its line or in reading its answers, in milliseconds.
  static let patience: Int64 = 5000
  /// The same for its line if all places are taken.
  static let shortPatience: Int64 = 2000
  /// A client that follows and lets more than this wait is given up, in bytes.
  static let largestOutput = 8 << 20

  let id: Int
  let descriptor: Int32
  private var phase = Phase.receiving([])
  private var output: [UInt8] = []
  private var limit: Int64?
  /// Its request may take as long as some work, or until the client ends.
  var isLong = false

  init(id: Int, descriptor: Int32, at time: Int64) {
    (self.id, self.descriptor, limit) = (id, descriptor, time + Self.patience)
  }

  /// When the client is given up, in monotonic milliseconds; nil: it may take its time.
  ///
  /// - Parameter isCrowded: all places are taken, so others wait for this one.
  func deadline(isCrowded: Bool) -> Int64? {
    guard isCrowded, case .receiving = phase, let limit else { return self.limit }
    return limit - Self.patience + Self.shortPatience
  }

  var isOver: Bool { if case .over = phase { true } else { false } }

  /// The events to poll for. An end of the client is always reported.
  var events: Int16 {
    if case .receiving = phase { return Int16(POLLIN) }
    return output.isEmpty ? 0 : Int16(POLLOUT)
  }

  /// A second call does nothing: the number of the descriptor may be that of another file by then.
  mutating func end() {
    if isOver { return }
    close(descriptor)
    (phase, output) = (.over, [])
  }

  /// Reads what the client has sent.
  ///
  /// - Returns: the request, once its line is complete; a line that is none as an error.
  mutating func receive() -> Result<ControlRequest, any Error>? {
    guard case .receiving(var input) = phase else { return nil }
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = read(descriptor, &buffer, buffer.count)
    if count < 0, errno == EAGAIN || errno == EINTR { return nil }
    guard count > 0 else {
      end()
      return nil
    }
    input += buffer[..<count]
    guard let line = input.firstIndex(of: UInt8(ascii: "\n")).map({ Array(input[..<$0]) }) else {
      phase = .receiving(input)
      guard input.count > ControlRequest.longest else { return nil }
      phase = .answering
      return .failure(HoldfastError(.usage, "the request is longer than \(ControlRequest.longest) bytes"))
    }
    // A command that was told that the agent does not answer has reported a failure: an agent that was
    // stopped meanwhile must not carry out the order afterwards.
    guard !hasClientEnded else {
      end()
      return nil
    }
    (phase, limit) = (.answering, nil)
    return Result { try ControlRequest(line: line) }
  }

  private var hasClientEnded: Bool {
    var byte: UInt8 = 0
    return recv(descriptor, &byte, 1, Int32(MSG_PEEK | MSG_DONTWAIT)) == 0
  }

  /// Adds an answer to the output.
  mutating func send(_ line: [UInt8], isLast: Bool, at time: Int64) {
    guard case .answering = phase else { return }
    output += line
    if isLast { phase = .ending }
    // An answer may be longer; what counts is the part that the client does not read.
    if output.count - line.count > Self.largestOutput { return end() }
    limit = limit ?? time + Self.patience
    flush(at: time)
  }

  /// Writes as much as the client takes.
  mutating func flush(at time: Int64) {
    while !output.isEmpty {
      let count = output.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      if count < 0, errno == EINTR { continue }
      if count < 0, errno == EAGAIN { return }
      guard count > 0 else { return end() }
      output.removeFirst(count)
      limit = time + Self.patience
    }
    limit = nil
    if case .ending = phase { end() }
  }
}
