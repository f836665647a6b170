/// Requests to a store, by the classes that stores charge for.
package struct RequestCount: Hashable, Sendable {
  /// Also each part of a multipart upload, and its start and end.
  package var puts: Int64 = 0
  /// Also HEAD.
  package var gets: Int64 = 0
  package var lists: Int64 = 0
  package var deletes: Int64 = 0

  package init(puts: Int64 = 0, gets: Int64 = 0, lists: Int64 = 0, deletes: Int64 = 0) {
    (self.puts, self.gets, self.lists, self.deletes) = (puts, gets, lists, deletes)
  }

  package var total: Int64 { puts + gets + lists + deletes }

  package static func + (left: RequestCount, right: RequestCount) -> RequestCount {
    RequestCount(
      puts: left.puts.addingClamped(right.puts), gets: left.gets.addingClamped(right.gets),
      lists: left.lists.addingClamped(right.lists), deletes: left.deletes.addingClamped(right.deletes))
  }

  package static func - (left: RequestCount, right: RequestCount) -> RequestCount {
    RequestCount(
      puts: left.puts - right.puts, gets: left.gets - right.gets, lists: left.lists - right.lists,
      deletes: left.deletes - right.deletes)
  }

  package static func * (count: RequestCount, factor: Int64) -> RequestCount {
    RequestCount(
      puts: count.puts.multipliedClamped(by: factor), gets: count.gets.multipliedClamped(by: factor),
      lists: count.lists.multipliedClamped(by: factor), deletes: count.deletes.multipliedClamped(by: factor))
  }
}

/// The sizes from which an upload has parts.
package struct UploadParts: Hashable, Sendable {
  /// Archives of at most this many bytes are one request.
  package var single: Int64 = 64 << 20
  /// Bytes of a part; more if the archive would have more than 1,000 parts.
  package var part: Int64 = 16 << 20

  package init() {}

  /// The requests of one put.
  package func requests(forBytes bytes: Int64) -> Int64 {
    guard bytes > single, part > 0 else { return 1 }
    let part = max(part, (bytes - 1) / 1000 + 1)
    return 2 + (bytes - 1) / part + 1
  }
}

extension RequestCount {
  /// The requests of a plan.
  ///
  /// - Parameters:
  ///   - mustLook: whether the next writer record is read first; it is one of a write's requests.
  ///   - withMetadata: the fulls that need their metadata beside them, which is one more put.
  package init(
    _ plan: ReplicationPlan, parts: UploadParts = UploadParts(), mustLook: Bool, withMetadata: Set<PointID> = []
  ) {
    self.init()
    for step in plan.steps {
      switch step {
      case .put(let put):
        puts += parts.requests(forBytes: put.bytes) + (withMetadata.contains(put.point) ? 1 : 0)
      case .remove: deletes += 1
      case .wait, .stop: continue
      }
    }
    if mustLook, puts + deletes > 0 { gets += 1 }
  }
}
