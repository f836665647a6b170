import BackupPolicy

/// As the agent stores it, and as `targets` and `sync` print it.
extension RequestCount {
  package var json: JSONValue {
    .object(["puts": .integer(puts), "gets": .integer(gets), "lists": .integer(lists), "deletes": .integer(deletes)])
  }

  /// - Parameter json: as ``json``; counts that are missing are zero.
  package init(_ json: JSONValue?) {
    self.init()
    guard case .object(let keys)? = json else { return }
    (puts, gets) = (keys.integer("puts") ?? 0, keys.integer("gets") ?? 0)
    (lists, deletes) = (keys.integer("lists") ?? 0, keys.integer("deletes") ?? 0)
  }
}
