/// Small numbers, 0…63, as the bits of a word.
struct BitSet64: Hashable, Sendable {
  var bits: UInt64 = 0

  init() {}

  init(_ values: some Sequence<Int>) {
    for value in values { insert(value) }
  }

  mutating func insert(_ value: Int) { bits |= 1 << UInt64(value) }
  func contains(_ value: Int) -> Bool { bits & (1 << UInt64(value)) != 0 }

  /// The lowest member that is at least `value`.
  func first(from value: Int) -> Int? {
    let rest = value < 64 ? bits >> UInt64(value) : 0
    return rest == 0 ? nil : value + rest.trailingZeroBitCount
  }

  var isEmpty: Bool { bits == 0 }
  var count: Int { bits.nonzeroBitCount }
  var members: [Int] { (0..<64).filter(contains) }

  func union(_ other: BitSet64) -> BitSet64 { BitSet64(bits: bits | other.bits) }
  func intersection(_ other: BitSet64) -> BitSet64 { BitSet64(bits: bits & other.bits) }

  private init(bits: UInt64) { self.bits = bits }
}
