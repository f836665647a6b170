import BackupPolicy
import Glibc
import Names
import SQLitePages

/// The process that has the agent's lock, as the lock's file records it: words with a space between
/// them, the path of the socket percent-encoded.
package struct AgentLockHolder: CustomStringConvertible {
  package let process: String
  private let host: String?
  private let namespace: String?
  /// The path of the holder's socket for commands; nil if it has none.
  package let socket: String?

  package init(process: pid_t, host: String, socket: String?) {
    (self.process, self.host, self.socket) = ("\(process)", host, socket)
    namespace = Self.namespace
  }

  /// Nil if nothing is recorded.
  package init?(record: [UInt8]) {
    let line = String(decoding: record.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    let words = line.split(separator: " ").map(String.init)
    guard let first = words.first else { return nil }
    process = first
    host = words.count > 1 ? words[1] : nil
    namespace = words.count > 2 ? words[2] : nil
    socket = words.count > 3 ? Self.decoded(words[3]) : nil
  }

  /// The record, without the socket if it would be longer than `limit` bytes.
  package func record(limit: Int) -> [UInt8] {
    let words = [process, host ?? "-", namespace ?? "-"].joined(separator: " ")
    let whole = Array(
      (words + (socket.map { " " + PercentEncoding.encode($0.pathBytes, keepsSlash: true) } ?? "")).utf8)
    return whole.count <= limit ? whole : Array(words.utf8.prefix(limit))
  }

  /// The namespace of this process's ID; `-` if it cannot be read.
  package static let namespace = ProcFile.processNamespace ?? "-"

  /// If the ID was recorded in another namespace, it is a container's own.
  package var description: String {
    let isForeign = namespace.map { $0 != Self.namespace } ?? false
    return "process \(process)" + (isForeign ? " of another container" : "") + (host.map { " on \($0)" } ?? "")
  }

  private static func decoded(_ text: String) -> String? {
    guard let bytes = PercentEncoding.decode(text.utf8, plusIsSpace: false), !bytes.contains(0) else { return nil }
    return bytes.withUnsafeBytes { String(pathBytes: $0) }
  }
}
