/// A place for a name in a folder.
struct Slot: Hashable {
  var folder: FileIdentity
  var name: String
}

/// One change of names: a creation, a removal or a rename. It survives a loss of power whole or not
/// at all.
struct NameChange {
  /// The inodes that one slot named before and after; nil means none.
  struct Edit {
    var slot: Slot
    var before: Inode?
    var after: Inode?
  }

  /// Of a rename: the old name first, then the new one (only one of them if the other is outside
  /// the root).
  var edits: [Edit]

  /// The slot whose folder has to be flushed: that of the created, removed or new name.
  var destination: Slot? { edits.last?.slot }

  /// The old name of a rename.
  var source: Slot? { edits.count == 2 ? edits[0].slot : nil }

  func touches(_ slot: Slot) -> Bool {
    edits.contains { $0.slot == slot }
  }

  /// Whether this cannot have happened without an earlier change: it moves the file that the
  /// earlier change put there, or it uses a name that became free only because a rename moved a
  /// file away (until that rename is durable, that file is nowhere else).
  func depends(on earlier: NameChange) -> Bool {
    if let source, earlier.touches(source) { return true }
    if let vacated = earlier.source { return touches(vacated) }
    return false
  }
}

extension [NameChange] {
  /// Removes and returns the changes that a flush of `folder` makes durable: those that end in it,
  /// and each earlier one that touches one of their slots.
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
