/// A place for a name in a folder.
struct Slot: Hashable {
  var folder: FileIdentity
  var name: String
}

/// One change of names: a creation, a removal or a rename. It survives a loss of power whole or not at all.
struct NameChange {
  /// What one slot named before and after; nil is nothing.
  struct Edit {
    var slot: Slot
    var before: Inode?
    var after: Inode?
  }

  /// Of a rename: the old name first, then the new one (one of them where the other is outside the root).
  var edits: [Edit]

  /// The slot whose folder has to be flushed: where the name was created, removed or moved to.
  var destination: Slot? { edits.last?.slot }

  /// The old name of a rename.
  var source: Slot? { edits.count == 2 ? edits[0].slot : nil }

  func touches(_ slot: Slot) -> Bool {
    edits.contains { $0.slot == slot }
  }

  /// Whether this cannot have happened without an earlier change: it moves what that one put there, or it takes a name
  /// that became free only because a rename moved a file away (which is nowhere else until that rename is durable).
  func depends(on earlier: NameChange) -> Bool {
    if let source, earlier.touches(source) { return true }
    if let vacated = earlier.source { return touches(vacated) }
    return false
  }
}

extension [NameChange] {
  /// Takes out the changes that a flush of `folder` makes durable: those that end in it, and each earlier one that
  /// touches a slot of theirs.
  mutating func flush(_ folder: FileIdentity) {
    var durable: Set<Slot> = []
    var pending: [NameChange] = []
    for change in reversed() {
      if change.destination?.folder == folder || change.edits.contains(where: { durable.contains($0.slot) }) {
        durable.formUnion(change.edits.map(\.slot))
      } else {
        pending.append(change)
      }
    }
    self = pending.reversed()
  }

  /// The drawn changes, and those without which they cannot have happened.
  func surviving(_ drawn: [Bool]) -> [NameChange] {
    var survives = drawn
    for later in indices.reversed() where survives[later] {
      for earlier in 0..<later where !survives[earlier] {
        survives[earlier] = self[later].depends(on: self[earlier])
      }
    }
    return zip(self, survives).filter(\.1).map(\.0)
  }
}
