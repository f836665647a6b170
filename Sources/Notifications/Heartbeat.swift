import BackupEngine
import BackupPolicy
import Names
import Transfer
import Wording

/// Signs of life to a service that reports their absence, such as Healthchecks.
package struct Heartbeat: Sendable, Hashable {
  /// Contains a secret: whoever knows it can send signs of life.
  package var url: String
  /// As ``TransferSettings/caFile``.
  package var caFile: String?

  /// In which reasons give times.
  package var zone: ZoneRules

  package init(url: String, zone: ZoneRules = .utc, caFile: String? = nil) {
    (self.url, self.zone, self.caFile) = (url, zone, caFile)
  }

  package enum Signal: Sendable, Hashable {
    case success
    case failure
    case start
  }

  /// The service accepts 100 kB; a reader needs less.
  static let largestBody = 9_000

  /// The URL of a signal: a word at the end of the path.
  ///
  /// Source: healthchecks.io, "Pinging API".
  ///
  /// - Parameter run: joins a start with its end; nil for signs of life.
  package func url(of signal: Signal, run: String? = nil) -> String {
    let query = url.firstIndex(of: "?").map { String(url[$0...]) } ?? ""
    let base = String(url.dropLast(query.count).reversed().drop { $0 == "/" }.reversed())
    let word =
      switch signal {
      case .success: ""
      case .failure: "/fail"
      case .start: "/start"
      }
    let run = run.map { (query.isEmpty ? "?" : "&") + "rid=\($0)" } ?? ""
    return base + word + query + run
  }

  /// The newest backup of each database, after the reasons.
  package static func body(_ facts: [StateFacts], reasons: [String], host: String) -> String {
    let newest = facts.map { facts in
      "\(facts.name): " + (facts.newest.map(line) ?? "no backup")
    }
    let text = (["holdfast on \(host)"] + reasons + newest).map(\.printable).joined(separator: "\n") + "\n"
    return String(decoding: text.utf8.prefix(largestBody), as: UTF8.self)
  }

  /// `number 41, backup_20261122_140322, 2026-11-22T14:03:22.000Z`
  private static func line(_ newest: StateFacts.Backup) -> String {
    (newest.sequence.map { "number \($0), " } ?? "") + "\(newest.id), \(newest.created.iso8601)"
  }
}

extension Delivery {
  /// Sends one signal, once.
  ///
  /// - Throws: `HoldfastError`
  package func send(_ signal: Heartbeat.Signal, to heartbeat: Heartbeat, run: String? = nil, body: String = "") throws {
    let request = HTTPRequest(
      .post, heartbeat.url(of: signal, run: run), headers: [("Content-Type", "text/plain; charset=utf-8")],
      body: .bytes(Array(body.utf8)), timeout: WebRequest.timeout)
    do {
      _ = try exchange(request, heartbeat.caFile)
    } catch let failure as DeliveryFailure {
      throw failure.error
    }
  }
}
