import FoundationEssentials
import TOML
import TestSupport
import Testing

@testable import holdfast

@Suite("holdfast.toml as TOML", .ownThread)
struct TOMLDocumentTests {
  private static let text = """
    # comment = 1
    plain = "x"  # a = 2
    \t"quoted key"   =   'y'
    a.b = 3
    list = [ "ü", # [no]
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

  @Test("Keys and values of every kind have their places")
  func places() throws {
    let document = TOMLDocument(Array("\u{FEFF}\(Self.text)".utf8))
    #expect(document.errors == [])
    func place(_ path: String...) -> [Int]? {
      var value = TOMLDocument.Value(content: .table(document.pairs), position: FilePosition(line: 1, column: 1))
      var key = value.position
      for name in path {
        switch value.content {
        case .table(let pairs):
          guard let pair = pairs.first(where: { $0.name == name }) else { return nil }
          (key, value) = (pair.key, pair.value)
        case .array(let items): (key, value) = (items[Int(name) ?? 0].position, items[Int(name) ?? 0])
        case .string, .boolean, .integer, .other: return nil
        }
      }
      return [key.line, key.column, value.position.line, value.position.column]
    }
    #expect(place("plain") == [2, 1, 2, 9])
    #expect(place("quoted key") == [3, 2, 3, 21])
    #expect(place("a", "b") == [4, 1, 4, 7])
    #expect(place("list", "0") == [5, 10, 5, 10] && place("list", "1") == [6, 3, 6, 3])
    #expect(place("nothing") == nil && place("no") == nil && place("x") == nil && place("z") == nil)
    #expect(place("literal") == [10, 1, 10, 11])
    #expect(place("inline", "two", "0", "deep") == [12, 33, 12, 40])
    #expect(place("table") == [14, 1, 14, 1] && place("table", "key") == [15, 1, 15, 7])
    #expect(place("databases", "0", "path") == [18, 1, 18, 8])
    #expect(place("databases", "1", "path") == [20, 3, 20, 10])
    #expect(place("databases", "1", "sub", "key") == [22, 1, 22, 7])
  }

  /// Documents that are easy to get wrong; the oracle knows which of them are right.
  private static let documents = [
    text, "", "a=1", "a = 1 # c", "a = 1 b = 2", "a = 'x", "a = \"x\ny\"", "a = \"\"\"x\n\"\"\"", "a = \"\"\"\"\"\"",
    "a = '''''x'''''", "a = \"\"\"\"x\"\"\"\"\"", "a = \"\\u00e9\\U0001F600\\b\\t\\n\\f\\r\\\"\\\\\"",
    "a = \"\\ud800\"",
    "a = \"\\x\"", "a = \"\\u12\"", "a = 'C:\\dir'", "a = \"\"\"x \\\n   y\"\"\"", "a = \"\"\"x \\  \n\n  y\"\"\"",
    "a = \"\"\"\\ x\"\"\"",
    "a = True", "a = yes", "a =", "a", "= 1", "a == 1", "a = 01", "a = 1_000", "a = 1__0", "a = _1", "a = 1_", "a = +1",
    "a = -0", "a = 0x1F", "a = 0o17", "a = 0b101", "a = 0x", "a = -0x1", "a = 0xG", "a = 1.5", "a = 1.", "a = .5",
    "a = 1e5", "a = 1.e5", "a = 1.5e-3", "a = inf", "a = -nan", "a = 9223372036854775807", "a = 1979-05-27",
    "a = 1979-05-27T07:32:00Z", "a = 1979-05-27 07:32:00.5+01:00", "a = 07:32:00", "a = 7:32", "a = 25:00:00",
    "a = [1, 2,]", "a = [1, 2", "a = [1 2]", "a = [,]", "a = []", "a = [\n# c\n1\n,\n# d\n2 # e\n]", "a = [[1], ['x']]",
    "a = {}", "a = {b = 1}", "a = {b = 1,}", "a = {b = 1\n}", "a = {b = 1, b = 2}", "a = {b.c = 1, b.d = 2}",
    "a = {b = 1}\na.c = 2", "a = {b = 1}\n[a]", "a.b = 1\na.c = 2", "a.b = 1\na = 2", "a = 1\na.b = 2", "a = 1\na = 2",
    "a.b = 1\n[a]", "a.b.c = 1\n[a.d]\ne = 1", "[a]\n[a]", "[a.b]\n[a]", "[a]\nb.c = 1\n[a.b]", "[a]\nb.c = 1\n[a.b.d]",
    "[a.b]\n[a]\nb.c = 1", "[a.b.c]\n[a]\nb.d = 1", "[[a]]\n[[a]]\nb = 1", "[[a]]\n[a]", "[a]\n[[a]]", "a = []\n[[a]]",
    "[[a]]\n[a.b]\nc = 1\n[[a]]\n[a.b]\nc = 2", "[[a.b]]\n[[a.b]]\n[a]\nc = 1", "[[a]]\n[[a.b]]\n[[a.b]]\nc=1", "[a",
    "[a]]",
    "[[a]", "[ a . b ]\nc = 1", "[]", "[.a]", "[a.]", "[a..b]", "a. b . c = 1", "a..b = 1", "\"a\"b = 1", "\"\" = 1",
    "'a b' = 1", "\"\"\"a\"\"\" = 1", "é = 1", "a-b_c = 1", "1 = 1", "1.2 = 3", "[a] b = 1", "[a] # c",
    "a = 1\r\nb = 2\r\n",
    "a = 1\rb = 2", "a = \"\"\"x\r\ny\"\"\"", "a = \"x\u{1}\"", "# \u{1}", "a = \"x\u{7f}\"", "a = \"x\ty\"", "\u{0}",
    "a = 'x' # \u{0}",
    "\t a = 1 \t", "a\n= 1", "a =\n1", "a = 1,", "a: 1", "// a", "; a", "export A=1", "a = \"x\" \"y\"",
    "[a]\nb = 1\n[c]\n[a.d]",
    "a = 1979-05-27 ", "a = [1979-05-27 , 1]", "[a]\nb = {}\n[a.b.c]", "[[a]]\nb = []\n[[a.b]]",
    "a.b = 1\n[a.c]\nd = 1\n[a.c]",
  ]

  /// Python's `tomllib`, which shares nothing with the parser.
  @Test("The parser accepts the documents that Python accepts and reads the same values")
  func oracle() throws {
    var generator = SeededGenerator(seed: 20_261_123)
    var documents = Self.documents
    let pieces =
      Self.documents.flatMap { $0.split(separator: "\n").map(String.init) } + [
        "a", ".", "=", "[", "]", "'", "\"", "\n", " ",
      ]
    for _ in 0..<3000 {
      let count = Int.random(in: 1...4, using: &generator)
      let glue = Bool.random(using: &generator) ? "\n" : ""
      documents.append(
        (0..<count).map { _ in pieces[Int.random(in: 0..<pieces.count, using: &generator)] }.joined(separator: glue))
    }
    let folder = try TemporaryFolder()
    let input = try folder.write("documents.json", Array(JSONEncoder().encode(documents)))
    let result = try Python.run(script: Self.script, arguments: [input], environment: [:])
    try #require(result.status == 0, "\(result.stderr)")
    let expected = try JSONDecoder().decode([String?].self, from: Data(result.stdout.utf8))
    #expect(expected.count == documents.count && expected.count { $0 != nil } > 500)
    for (text, expected) in zip(documents, expected) {
      let document = TOMLDocument(Array(text.utf8))
      let found = document.errors.isEmpty ? Self.shown(.table(document.pairs)) : nil
      #expect(found == expected, "\(text.debugDescription): \(document.errors)")
    }
  }

  private static let script = """
    import datetime, json, sys, tomllib

    def shown(value):
        if isinstance(value, dict):
            return "{" + ",".join(sorted(f"{key}={shown(item)}" for key, item in value.items())) + "}"
        if isinstance(value, list):
            return "[" + ",".join(shown(item) for item in value) + "]"
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, int):
            return str(value) if -2**63 <= value < 2**63 else "other"
        return "'" + value + "'" if isinstance(value, str) else "other"

    def read(text):
        try:
            return shown(tomllib.loads(text))
        except (ValueError, RecursionError):
            return None

    with open(sys.argv[1], newline="") as file:
        print(json.dumps([read(text) for text in json.load(file)]))
    """

  private static func shown(_ content: TOMLDocument.Content) -> String {
    switch content {
    case .table(let pairs):
      "{"
        + pairs.map { "\($0.name)=\(shown($0.value.content))" }.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        .joined(separator: ",") + "}"
    case .array(let items): "[" + items.map { shown($0.content) }.joined(separator: ",") + "]"
    case .string(let text): "'\(text)'"
    case .boolean(let value): "\(value)"
    case .integer(let number): "\(number)"
    case .other: "other"
    }
  }

  @Test("Any bytes are read or refused, and never end the process")
  func noise() throws {
    let alphabet = Array("ab=.\"'[]{}#,\\\n\r \t0-\u{FEFF}é".unicodeScalars)
    var generator = SeededGenerator(seed: 7)
    for _ in 0..<5000 {
      var text = String.UnicodeScalarView()
      for _ in 0..<Int.random(in: 0...40, using: &generator) {
        text.append(alphabet[Int.random(in: 0..<alphabet.count, using: &generator)])
      }
      _ = SettingsFile(Array(String(text).utf8), path: "x")
      _ = EnvironmentFileParser.entries(Array(String(text).utf8))
    }
    for _ in 0..<1000 {
      let bytes = generator.bytes(30)
      _ = SettingsFile(bytes, path: "x")
      _ = EnvironmentFileParser.entries(bytes)
    }
    for opening in ["a=[", "a={b=", "[a.", "a='''"] {
      #expect(!SettingsFile(Array(String(repeating: opening, count: 20_000).utf8), path: "x").problems.isEmpty)
    }
  }
}
