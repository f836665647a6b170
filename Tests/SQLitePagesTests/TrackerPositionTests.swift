import Glibc
import SQLitePages
import TestSupport
import Testing

/// A position as the text that a later process reads.
@Suite(.ownThread) struct TrackerPositionTests {
  private func position(_ path: String) throws -> TrackerPosition {
    let connection = try DatabaseConnection(path: path, access: .observer)
    defer { connection.close() }
    let snapshot = try DatabaseSnapshot(connection, scratchPath: path + "-scratch")
    defer { snapshot.end() }
    return TrackerPosition(snapshot)
  }

  @Test(arguments: ["wal", "delete"]) func itComesBackWithoutItsConnection(journal: String) throws {
    let folder = try TemporaryFolder()
    let application = try DatabaseApplication(
      folder.path("app.db"), "PRAGMA journal_mode = \(journal); CREATE TABLE t(a)")
    usleep(30000)
    let position = try position(application.path)
    let text = try #require(position.text)
    let read = try #require(TrackerPosition(text: text))
    #expect(position.connection != nil && read.connection == nil)
    #expect(read.text == text)
    #expect(read.snapshot.wal == position.snapshot.wal && (read.snapshot.wal != nil) == (journal == "wal"))
    #expect(read.snapshot.database == position.snapshot.database)
    #expect(read.snapshot.stampBefore == position.snapshot.stampBefore)
    #expect(read.snapshot.changeCounter == position.snapshot.changeCounter)
    #expect(read.pageSize == position.pageSize && read.textEncoding == position.textEncoding)
  }

  /// If an operator copied another file over the database before the next process starts, no fact
  /// would reveal it.
  @Test func oneOfAFileThatWasJustWrittenIsNotKept() throws {
    let folder = try TemporaryFolder()
    let application = try DatabaseApplication(folder.path("app.db"), "PRAGMA journal_mode = wal; CREATE TABLE t(a)")
    usleep(30000)
    var position = try position(application.path)
    #expect(position.text != nil)
    position.snapshot.stampBefore?.isSettled = false
    #expect(position.text == nil)
    position.snapshot.stampBefore = nil
    #expect(position.text == nil)
  }

  @Test func anythingElseIsNoPosition() throws {
    let folder = try TemporaryFolder()
    let application = try DatabaseApplication(folder.path("app.db"), "PRAGMA journal_mode = wal; CREATE TABLE t(a)")
    usleep(30000)
    let text = try #require(try position(application.path).text)
    let words = text.split(separator: " ").map { String($0) }
    for number in words.indices where number != 1 {
      for wrong in ["", "x", "-99999999999999999999", "1e3", "2 2"] {
        var damaged = words
        damaged[number] = wrong
        #expect(TrackerPosition(text: damaged.joined(separator: " ")) == nil, "\(number): \(wrong)")
      }
    }
    for count in 0..<words.count where count != 9 {
      #expect(TrackerPosition(text: words.prefix(count).joined(separator: " ")) == nil, "\(count) words")
    }
  }
}
