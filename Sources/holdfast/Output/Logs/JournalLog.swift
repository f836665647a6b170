import BackupAgent
import BackupPolicy
import CShims
import Glibc
import Logging

/// Log lines as entries of systemd's journal, with a field for each fact, so that
/// `journalctl HOLDFAST_DATABASE=shop` finds those of one database.
struct JournalLog: LogHandler {
  var logLevel = Logger.Level.warning
  var metadata: Logger.Metadata = [:]
  private let socket: JournalSocket
  /// Writes the lines that the journal does not accept.
  private let substitute = TextLog()

  init(_ socket: JournalSocket) { self.socket = socket }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    if !socket.send(Self.entry(LogLine(event, metadata))) {
      var event = event
      event.metadata = metadata.merging(event.metadata ?? [:]) { $1 }
      substitute.log(event: event)
    }
  }

  /// An entry in the protocol of the journal's socket:
  /// https://systemd.io/JOURNAL_NATIVE_PROTOCOL/. Printable text has no line breaks, so the simple
  /// form `NAME=value` is enough.
  static func entry(_ line: LogLine) -> [UInt8] {
    var message = line.message
    if let hint = line.facts["hint"] { message += " (hint: \(hint))" }
    var fields = [
      "MESSAGE=\(message)", "PRIORITY=\(line.level.priority)", "SYSLOG_IDENTIFIER=holdfast",
    ]
    if let event = line.facts["event"].flatMap(LoggedEvent.init) { fields.append("MESSAGE_ID=\(event.messageID)") }
    for (name, value) in line.facts.sorted(by: { $0.key < $1.key }) {
      fields.append("HOLDFAST_\(fieldName(name))=\(value)")
    }
    return Array((fields.joined(separator: "\n") + "\n").utf8)
  }

  /// A name has capitals, digits and underscores, and at most 64 of them.
  private static func fieldName(_ key: String) -> String {
    String(
      key.utf8.prefix(50).map { byte -> Character in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"): Character(UnicodeScalar(byte - 32))
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"):
          Character(UnicodeScalar(byte))
        default: "_"
        }
      })
  }
}

extension Logger.Level {
  /// As in syslog(3).
  fileprivate var priority: Int {
    switch self {
    case .critical: 2
    case .error: 3
    case .warning: 4
    case .notice: 5
    case .info: 6
    case .debug, .trace: 7
    }
  }
}

/// The datagram socket of systemd's journal.
final class JournalSocket: Sendable {
  private let descriptor: Int32

  private init(_ descriptor: Int32) { self.descriptor = descriptor }

  deinit { close(descriptor) }

  /// The connection of this process.
  static let shared = open()

  /// Nil if no journal listens.
  static func open(_ path: String = "/run/systemd/journal/socket") -> JournalSocket? {
    let descriptor = cshims_datagram_socket(path)
    return descriptor < 0 ? nil : JournalSocket(descriptor)
  }

  /// Whether standard error is connected to the journal. systemd names the device and the inode of
  /// that connection, and a program must compare them: a child may have inherited the variable, and
  /// write elsewhere (systemd.exec(5), `JOURNAL_STREAM`).
  static var isStandardError: Bool {
    guard let text = getenv("JOURNAL_STREAM").map({ String(cString: $0) }) else { return false }
    var status = stat()
    guard fstat(STDERR_FILENO, &status) == 0 else { return false }
    return text == "\(status.st_dev):\(status.st_ino)"
  }

  /// - Returns: false if the journal does not accept the entry: it has ended, or its queue is full
  ///   for longer than a log line may wait.
  func send(_ entry: [UInt8]) -> Bool {
    entry.withUnsafeBytes { bytes in
      while Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL)) < 0 {
        if errno == EINTR { continue }
        var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        guard errno == EAGAIN, poll(&entry, 1, 1000) > 0 else { return false }
      }
      return true
    }
  }
}
