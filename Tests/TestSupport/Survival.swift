/// The part of the unflushed changes that survives a loss of power.
struct Survival {
  /// The surviving part of a list of unflushed changes.
  enum Share: CaseIterable {
    case none
    case all
    /// Each change independently.
    case some
    /// In the order of execution, up to a point.
    case first
  }

  var names: Share
  var writes: Share
  /// Whether a file keeps the size that lost writes gave it, as zeros; if nil, decided for each
  /// file.
  var keepsSize: Bool?
  private var generator: SeededGenerator

  /// - Parameter seed: 0: nothing; 1: everything; 2: every name, but no content (files that were
  ///   never flushed are empty);
  ///   3: every name and size, but zeros for content; 4: all content, but no name; others: drawn at random.
  init(seed: UInt64) {
    generator = SeededGenerator(seed: seed)
    switch seed {
    case 0: (names, writes, keepsSize) = (.none, .none, false)
    case 1: (names, writes, keepsSize) = (.all, .all, true)
    case 2: (names, writes, keepsSize) = (.all, .none, false)
    case 3: (names, writes, keepsSize) = (.all, .none, true)
    case 4: (names, writes, keepsSize) = (.none, .all, true)
    default:
      names = Share.allCases.randomElement(using: &generator)!
      writes = Share.allCases.randomElement(using: &generator)!
      keepsSize = nil
    }
  }

  /// For each of `count` changes of names, whether it is drawn to survive.
  mutating func namesThatSurvive(of count: Int) -> [Bool] {
    switch names {
    case .none: return Array(repeating: false, count: count)
    case .all: return Array(repeating: true, count: count)
    case .some: return (0..<count).map { _ in Bool.random(using: &generator) }
    case .first:
      let kept = Int.random(in: 0...count, using: &generator)
      return (0..<count).map { $0 < kept }
    }
  }

  mutating func keepsAttributes() -> Bool {
    switch writes {
    case .none: false
    case .all: true
    case .some, .first: Bool.random(using: &generator)
    }
  }

  /// The content of a file with unflushed writes afterwards.
  mutating func content(of file: UnsyncedContent) -> [UInt8] {
    let survivors = rangesThatSurvive(of: file)
    let keepsSize = keepsSize ?? Bool.random(using: &generator)
    return file.rendered(survivors, size: keepsSize ? file.liveSize : file.durable.count)
  }

  private mutating func rangesThatSurvive(of file: UnsyncedContent) -> [[Range<Int>]] {
    switch writes {
    case .none: return file.writes.map { _ in [] }
    case .all: return file.writes.map { [0..<$0.bytes.count] }
    case .some: return file.writes.map { someSectors(of: $0, in: file) }
    case .first:
      let whole = Int.random(in: 0...file.writes.count, using: &generator)
      return file.writes.enumerated().map { index, write in
        if index < whole { return [0..<write.bytes.count] }
        guard index == whole else { return [] }
        let sectors = file.sectors(of: write)
        return Array(sectors.prefix(Int.random(in: 0...sectors.count, using: &generator)))
      }
    }
  }

  /// Whole, lost or torn.
  private mutating func someSectors(of write: UnsyncedContent.Write, in file: UnsyncedContent) -> [Range<Int>] {
    switch Int.random(in: 0..<3, using: &generator) {
    case 0: []
    case 1: [0..<write.bytes.count]
    default: file.sectors(of: write).filter { _ in Bool.random(using: &generator) }
    }
  }
}
