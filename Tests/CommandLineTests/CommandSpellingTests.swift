import BackupEngine
import BackupPolicy
import Testing
import Wording

@Suite("Commands in the advice of reports")
struct CommandSpellingTests {
  private let caller = CommandSpelling { $0.replacing("holdfast init", with: "holdfast init --database app.db") }

  @Test("The advice of a finding has the options of a caller, and stays as it is for a mail or a page")
  func findings() {
    let finding = Finding("key", .problem, "there is no key", advice: "holdfast init makes one")
    func lines(_ commands: CommandSpelling) -> [String] {
      DoctorReport(findings: [finding], commands: commands).lines(quiet: true)
    }
    #expect(lines(.plain) == ["✗ key: there is no key", "  → holdfast init makes one"])
    #expect(lines(caller) == ["✗ key: there is no key", "  → holdfast init --database app.db makes one"])
  }

  @Test("The hint of an error has them in the lines and in the JSON")
  func errors() {
    let error = HoldfastError(.keyMissing, "there is no key", hint: "holdfast init makes one")
    #expect(
      ErrorText(error, caller).lines == [
        "holdfast: error: there is no key", "holdfast: hint: holdfast init --database app.db makes one",
      ])
    #expect(
      ErrorText(error, caller).json
        == .object([
          "code": .string(error.code.rawValue), "message": .string("there is no key"),
          "hint": .string("holdfast init --database app.db makes one"),
        ]))
    #expect(ErrorText(error, .plain).lines.last == "holdfast: hint: holdfast init makes one")
  }
}
