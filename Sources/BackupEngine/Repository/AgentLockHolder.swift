import Glibc

/// Who holds the agent's lock, as its file says.
package struct AgentLockHolder: CustomStringConvertible {
  private var process: String
  private var host: String?
  private var namespace: String?

  /// Nil if nothing is recorded.
  package init?(record: [UInt8]) {
    let line = String(decoding: record.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    let words = line.split(separator: " ").map(String.init)
    guard let first = words.first else { return nil }
    process = first
    host = words.count > 1 ? words[1] : nil
    namespace = words.count > 2 ? words[2] : nil
  }

  /// The kernel's name for the namespace of this process's ID, `pid:[4026531836]`; `-` if it cannot be read.
  package static let namespace: String = {
    var buffer = [CChar](repeating: 0, count: 64)
    guard readlink("/proc/self/ns/pid", &buffer, buffer.count - 1) > 0 else { return "-" }
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }()

  /// The ID is a container's own if it was recorded in another namespace.
  package var description: String {
    let isForeign = namespace.map { $0 != Self.namespace } ?? false
    return "process \(process)" + (isForeign ? " of another container" : "") + (host.map { " on \($0)" } ?? "")
  }
}
