import TestSupport
import Testing

@testable import holdfast

@Suite("Places in holdfast.toml")
struct TOMLPositionTests {
  private static let text = """
    # comment = 1
    plain = "x"  # a = 2
    \t"quoted key"   =   'y'
    a.b = 3
    é = [ "ü", # [no]
      'two', ]
    long = \"\"\"
    [nothing]
    x = \\\"\"\" y \"\"\"\"
    literal = '''
    z = 1'''
    inline = { one = 1, "two" = [ { deep = true } ] }

    [table]
    key = 1979-05-27

    [[databases]]
    path = "a"
    [[databases]]
      path = "b"
    [databases.sub]
    key = 1
    """

  @Test("Keys and values of every kind")
  func places() throws {
    let positions = TOMLPositions(Self.text)
    func place(_ path: String...) -> [Int]? {
      positions[path].map { [$0.key.line, $0.key.column, $0.value.line, $0.value.column] }
    }
    #expect(place("plain") == [2, 1, 2, 9])
    #expect(place("quoted key") == [3, 2, 3, 19])
    #expect(place("a", "b") == [4, 1, 4, 7])
    #expect(place("é") == [5, 1, 5, 5])
    #expect(place("é", "0") == [5, 7, 5, 7] && place("é", "1") == [6, 3, 6, 3])
    #expect(place("nothing") == nil && place("no") == nil && place("x") == nil)
    #expect(place("literal") == [10, 1, 10, 11] && place("z") == nil)
    #expect(place("inline", "one") == [12, 12, 12, 18])
    #expect(place("inline", "two", "0", "deep") == [12, 33, 12, 40])
    #expect(place("table") == [14, 1, 14, 1] && place("table", "key") == [15, 1, 15, 7])
    #expect(place("databases", "0", "path") == [18, 1, 18, 8])
    #expect(place("databases", "1", "path") == [20, 3, 20, 10])
    #expect(place("databases", "1", "sub", "key") == [22, 1, 22, 7])
  }

  /// The scanner and the parser must agree on what there is.
  @Test("Everything that the parser finds has a place of its own")
  func agreement() throws {
    let document = try TOMLDocument(Array(Self.text.utf8), path: "x")
    var seen: Set<FilePosition> = []
    func visit(_ pairs: [TOMLDocument.Pair]) {
      for pair in pairs {
        if case .table(let inner) = pair.value.content {
          visit(inner)
        } else {
          #expect(seen.insert(pair.value.position).inserted, "\(pair.name)")
        }
      }
    }
    visit(document.pairs)
    #expect(seen.count == 10)
    #expect(document.pairs.map(\.key) == document.pairs.map(\.key).sorted())
  }

  @Test("Any bytes at all are read or refused, and never end the process")
  func noise() throws {
    let alphabet = Array("ab=.\"'[]{}#,\\\n\r \t0-\u{FEFF}é".unicodeScalars)
    var generator = SeededGenerator(seed: 7)
    for _ in 0..<20_000 {
      var text = String.UnicodeScalarView()
      for _ in 0..<Int.random(in: 0...40, using: &generator) {
        text.append(alphabet[Int.random(in: 0..<alphabet.count, using: &generator)])
      }
      _ = SettingsFile(Array(String(text).utf8), path: "x")
      _ = EnvironmentFileParser.entries(Array(String(text).utf8))
    }
    for _ in 0..<2000 {
      let bytes = (0..<30).map { _ in UInt8.random(in: 0...255, using: &generator) }
      _ = SettingsFile(bytes, path: "x")
      _ = EnvironmentFileParser.entries(bytes)
    }
  }
}
