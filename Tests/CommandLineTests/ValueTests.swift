import BackupEngine
import BackupPolicy
import Testing

@testable import Wording
@testable import holdfast

@Suite("Values of flags and variables")
struct ValueTests {
  @Test(
    "A database address gives its path",
    arguments: [
      ("app.db", "app.db"), ("/srv/app.db", "/srv/app.db"), ("sqlite:///app.db", "app.db"),
      ("sqlite:///./data/app.db", "./data/app.db"), ("sqlite:////srv/app.db", "/srv/app.db"),
      ("SQLite:///app.db", "app.db"), ("sqlite+aiosqlite:///app.db", "app.db"),
      ("sqlite:///app.db?check_same_thread=false", "app.db"), ("sqlite:///100%.db", "100%.db"),
      ("sqlite3:storage/app.db", "storage/app.db"), ("sqlite3:///srv/app.db", "/srv/app.db"),
      ("sqlite3:////srv/app.db", "/srv/app.db"), ("sqlite:storage/app.db", "storage/app.db"),
      ("sqlite:/srv/app.db", "/srv/app.db"), ("sqlite://storage/app.db", "storage/app.db"),
      ("sqlite://app.db?mode=rwc", "app.db"), ("file:./dev.db", "./dev.db"), ("file:dev.db#x", "dev.db"),
      ("file:/srv/app.db?connection_limit=1", "/srv/app.db"), ("file:///srv/app.db", "/srv/app.db"),
      ("file://localhost/srv/app.db", "/srv/app.db"), ("jdbc:sqlite:app.db", "app.db"),
      ("jdbc:sqlite:/srv/app.db", "/srv/app.db"), ("sqlite:///file:app.db?uri=true", "app.db"),
      ("a:b.db", "a:b.db"), ("./sqlite:app.db", "./sqlite:app.db"),
      ("odd name://x", "odd name://x"), ("what?.db", "what?.db"), ("sqlite", "sqlite"),
    ])
  func addresses(text: String, path: String) throws {
    #expect(try DatabaseAddress.path(text, from: "--database") == path)
  }

  @Test(
    "An address that names no SQLite file is refused",
    arguments: [
      "sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite::memory:", "file:x?mode=memory", "mysql://u:secret@h/d",
      "sqlite:///a%20b.db", "file:/srv/a%3Fb.db", "sqlite+aiosqlite:///", "libsql://secret.example",
    ])
  func noAddress(text: String) throws {
    let error = try #require(throws: HoldfastError.self) { try DatabaseAddress.path(text, from: "DATABASE_URL") }
    #expect(error.code == .usage && error.message.hasPrefix("DATABASE_URL ") && !error.message.contains("secret"))
  }

  @Test(
    "A span of time has a unit and a limit",
    arguments: [
      ("250ms", 250), ("5s", 5000), ("2m", 120_000), ("2min", 120_000), ("1h", 3_600_000), ("30d", 2_592_000_000),
      ("0", 0), ("0s", 0),
      ("36000000000ms", 36_000_000_000), ("5", nil), ("-5s", nil), ("1.5s", nil), ("s", nil), ("", nil), ("5 s", nil),
      ("99999999999999999999s", nil), ("36000000001ms", nil), ("10001h", nil), ("٣s", nil),
    ] as [(String, Int64?)])
  func times(text: String, milliseconds: Int64?) {
    #expect(TimeSpan(argument: text)?.milliseconds == milliseconds)
  }

  @Test(
    "Free space is a percentage or a number with a unit",
    arguments: [
      ("5%", .percent(5)), ("99%", .percent(99)), ("100%", nil), ("0%", nil), ("2GiB", .bytes(2 << 30)),
      ("2gib", .bytes(2 << 30)), ("2GB", .bytes(2_000_000_000)), ("512K", .bytes(512 << 10)), ("1B", .bytes(1)),
      ("8TiB", .bytes(8 << 40)), ("0GiB", nil), ("-1GiB", nil), ("1.5GiB", nil), ("GiB", nil), ("2 GiB", nil),
      ("2", nil),
      ("", nil), ("9223372036854775807KiB", nil), ("2GiBs", nil),
    ] as [(String, FreeSpace?)])
  func freeSpace(text: String, space: FreeSpace?) {
    #expect(FreeSpace(argument: text) == space)
  }

  @Test(
    "A number is printed in groups of three digits",
    arguments: [
      (0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567"), (12_345, "12,345"), (-1234, "-1,234"),
      (Int64.min, "-9,223,372,036,854,775,808"),
    ] as [(Int64, String)])
  func groups(number: Int64, text: String) {
    #expect(number.grouped == text)
  }

  @Test(
    "A share is printed as a percentage",
    arguments: [(0, "0.0%"), (0.352, "35.2%"), (0.99999, "100.0%"), (1.5, "150.0%"), (.nan, "0.0%")])
  func percentages(share: Double, text: String) {
    #expect(share.percentage == text)
  }

  @Test(
    "Control characters are printed as escapes, and other text stays unchanged",
    arguments: [
      ("plain", "plain"), ("größe 👩‍💻", "größe 👩‍💻"), ("a\nb\tc", "a\\nb\\tc"), ("\u{1b}[0m\u{7f}", "\\u{1b}[0m\\u{7f}"),
      ("\r\n", "\\u{d}\\n"), ("\u{9b}2J\u{2028}\u{202e}", "\\u{9b}2J\\u{2028}\\u{202e}"),
    ])
  func printable(text: String, printed: String) {
    #expect(text.printable == printed)
  }
}
