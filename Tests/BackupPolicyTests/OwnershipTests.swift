import BackupPolicy
import Names
import Testing

@Suite("The owner of a repository's backups")
struct OwnershipTests {
  private static let app = OwnershipRecord(path: "/srv/app.db", tableMarks: [1, 2, 3])
  private static let queue = OwnershipRecord(path: "/srv/queue.db", tableMarks: [7, 8])

  private func decide(
    _ path: ExactPath, given: ExactPath? = nil, _ records: [OwnershipRecord], present: Set<ExactPath> = [],
    tables: Set<UInt32>? = nil, proven: ExactPath? = nil
  ) -> RepositoryOwnership {
    var facts = OwnershipFacts(path: path, givenPath: given, databases: RecordedDatabases(records))
    (facts.present, facts.tableMarks, facts.proven) = (present, tables, proven)
    return RepositoryOwnership.decide(facts)
  }

  @Test("A folder without a recorded name belongs to the database, and so does one with its name")
  func own() {
    #expect(decide("/srv/app.db", []) == .unclaimed)
    #expect(decide("/srv/app.db", [OwnershipRecord(path: nil)]) == .unclaimed)
    #expect(decide("/srv/app.db", [Self.app]).database?.path == "/srv/app.db")
    // The content does not matter there: an application may change it freely.
    #expect(decide("/srv/app.db", [Self.app], tables: [9]).database?.path == "/srv/app.db")
  }

  @Test("An existing neighbour is never taken for the database")
  func neighbours() {
    for tables in [nil, [], [1, 2, 3], [9]] as [Set<UInt32>?] {
      let found = decide("/srv/typo.db", [Self.app], present: ["/srv/app.db"], tables: tables)
      #expect(found == .foreign(RecordedDatabases([Self.app]).all))
    }
  }

  @Test("In a mixed folder each database has its own backups")
  func mixed() {
    let records = [Self.app, Self.queue, Self.app]
    let both: Set<ExactPath> = ["/srv/app.db", "/srv/queue.db"]
    #expect(decide("/srv/queue.db", records, present: both).database?.paths == ["/srv/queue.db"])
    #expect(decide("/srv/app.db", records, present: both).database?.paths == ["/srv/app.db"])
    #expect(decide("/srv/typo.db", records, present: both).database == nil)
    let databases = RecordedDatabases([OwnershipRecord(path: nil)] + records)
    #expect(databases.database(of: nil)?.path == "/srv/app.db")
    #expect(databases.database(of: "/srv/queue.db")?.path == "/srv/queue.db")
    #expect(databases.database(of: "/else") == nil)
  }

  @Test("If the recorded path is gone, a database with the same or unknown content is the same database")
  func moved() {
    for tables in [nil, [], [1, 2, 3, 4], [2, 3]] as [Set<UInt32>?] {
      #expect(decide("/new/app.db", [Self.app], tables: tables).database?.path == "/srv/app.db")
    }
    #expect(decide("/new/app.db", [Self.app], tables: [7, 8, 9]).database == nil)
  }

  @Test("A path without backups and without content to compare gets no backups of a missing database")
  func absentIsNoMove() throws {
    for tables in [nil, []] as [Set<UInt32>?] {
      let found = decide("/srv/typo.db", [Self.app], tables: tables)
      #expect(found == .foreign(RecordedDatabases([Self.app]).all))
    }
    // If its backups record no tables, only the name is left.
    let unmarked = OwnershipRecord(path: "/srv/app.db")
    #expect(decide("/srv/queue.db", [unmarked], tables: [1, 2, 3]).database == nil)
    #expect(decide("/new/app.db", [unmarked], tables: [1, 2, 3]).database?.path == "/srv/app.db")
    let error = RepositoryOwnership.readingError(
      "/srv/typo.db", folder: "/srv/backups", RecordedDatabases([Self.app]).all)
    #expect(
      error.hint?.contains(
        "holdfast restore latest --database /srv/app.db --backup-dir /srv/backups --to /srv/typo.db") == true)
  }

  @Test("An empty list of tables or a table that many databases have does not prove a move")
  func weakProof() {
    let app = OwnershipRecord(path: "/srv/app.db", tableMarks: [1, 2])
    #expect(decide("/srv/new.db", [app], tables: [2]).database == nil)
    #expect(decide("/srv/new.db", [app], tables: [1, 2, 3]) == .similar(RecordedDatabases([app]).all[0]))
    #expect(decide("/srv/new.db", [app], tables: [1, 2, 3], proven: "/srv/app.db").database?.path == "/srv/app.db")
    // A file that is known keeps its backups, whatever happened to its tables.
    #expect(decide("/srv/new.db", [app], tables: [7], proven: "/srv/app.db").database?.path == "/srv/app.db")
    #expect(
      decide("/srv/new.db", [app], present: ["/srv/app.db"], tables: [1, 2], proven: "/srv/app.db").database == nil)
    // Only some marks of a large schema are kept: half of them in common with another schema is no
    // proof either.
    let large = OwnershipRecord(path: "/srv/app.db", tableMarks: Set(0..<16))
    #expect(decide("/srv/new.db", [large], tables: Set(8..<24)).database == nil)
    #expect(decide("/srv/new.db", [large], tables: Set(3..<19)) == .similar(RecordedDatabases([large]).all[0]))
    // An empty file of the same name may read the backups, and a restore may keep its content;
    // otherwise no backup of it is stored.
    var facts = OwnershipFacts(path: "/new/app.db", databases: RecordedDatabases([app]))
    facts.tableMarks = []
    let found = RepositoryOwnership.decide(facts)
    #expect(found == .moved(facts.databases.all[0]))
    #expect(found.obstacle(facts, folder: "/srv/backups", isSafety: false)?.code == .refused)
    #expect(found.obstacle(facts, folder: "/srv/backups", isSafety: true) == nil)
    // A file of the same name and tables may be another tenant's: it reads, and stores nothing
    // before its pages are compared.
    facts.tableMarks = [1, 2]
    #expect(found.unproven(facts) == facts.databases.all[0])
    #expect(found.obstacle(facts, folder: "/srv/backups", isSafety: false)?.code == .refused)
    facts.proven = "/srv/app.db"
    #expect(found.obstacle(facts, folder: "/srv/backups", isSafety: false) == nil)
  }

  @Test("A database that returns after a copy replaced it reads its backups but stores none")
  func displaced() throws {
    let copy = OwnershipRecord(path: "/srv/new.db", otherPaths: ["/srv/app.db"], tableMarks: [1, 2, 3])
    var facts = OwnershipFacts(path: "/srv/app.db", databases: RecordedDatabases([Self.app, copy]))
    (facts.present, facts.tableMarks) = (["/srv/new.db"], [1, 2, 3, 4])
    let found = RepositoryOwnership.decide(facts)
    #expect(found == .displaced(facts.databases.all[0]) && found.database != nil)
    let error = try #require(found.obstacle(facts, folder: "/srv/backups", isSafety: false))
    #expect(error.code == .refused && error.message.contains("/srv/new.db"))
    #expect(error.hint?.hasPrefix("holdfast create --database /srv/app.db --backup-dir /srv/backups-app ") == true)
    facts.tableMarks = [7, 8]
    #expect(RepositoryOwnership.decide(facts).database == nil)
    facts.present = []
    #expect(RepositoryOwnership.decide(facts).database == nil)
    facts.tableMarks = [1, 2, 3]
    #expect(RepositoryOwnership.decide(facts) == .owned(facts.databases.all[0]))
  }

  @Test("If a link leads to a database with other tables, it no longer names this one")
  func linkToAnother() {
    let blue = OwnershipRecord(path: "/srv/blue.db", otherPaths: ["/srv/now.db"], tableMarks: [1, 2])
    func decide(_ tables: Set<UInt32>?) -> RepositoryOwnership {
      self.decide("/srv/green.db", given: "/srv/now.db", [blue], present: ["/srv/blue.db"], tables: tables)
    }
    #expect(decide([7, 8]).database == nil)
    for tables in [nil, [], [1, 2, 3]] as [Set<UInt32>?] { #expect(decide(tables).database?.path == "/srv/blue.db") }
  }

  @Test("A second hard link is the same file under any name")
  func hardLink() {
    var facts = OwnershipFacts(path: "/srv/hard.db", databases: RecordedDatabases([Self.app]))
    #expect(RepositoryOwnership.decide(facts).database == nil)
    facts.sameFiles = ["/srv/app.db"]
    #expect(RepositoryOwnership.decide(facts) == .owned(facts.databases.all[0]))
  }

  @Test("Two spellings of one character are two files")
  func spellings() {
    let (composed, decomposed) = (ExactPath("/srv/caf\u{e9}.db"), ExactPath("/srv/cafe\u{301}.db"))
    #expect(composed.text == decomposed.text && composed != decomposed)
    let record = OwnershipRecord(path: composed, tableMarks: [1, 2])
    #expect(decide(decomposed, [record], present: [composed], tables: [7, 8]).database == nil)
    #expect(decide(decomposed, [record]).database == nil)
    #expect(decide(composed, [record]).database?.path == composed)
    let both = [record, OwnershipRecord(path: decomposed, tableMarks: [1, 2])]
    #expect(RecordedDatabases(both).all.count == 2)
    #expect(decide(composed, both, present: [composed, decomposed]).database?.paths == [composed])
    #expect(decide(decomposed, both, present: [composed, decomposed]).database?.paths == [decomposed])
  }

  @Test("Beside an existing neighbour, only content proves a move")
  func movedFromMixed() {
    let records = [Self.app, Self.queue]
    #expect(decide("/new/app.db", records, present: ["/srv/queue.db"]).database == nil)
    #expect(decide("/new/app.db", records, present: ["/srv/queue.db"], tables: [1, 2]).database?.path == "/srv/app.db")
    // On another machine the file's name decides.
    #expect(decide("/new/queue.db", records).database?.path == "/srv/queue.db")
    #expect(decide("/new/x.db", records).database == nil)
  }

  @Test("Earlier paths stay the database's, and its backups stay together over many moves")
  func earlierPaths() throws {
    var records = [Self.app]
    for number in 1...40 {
      let path = ExactPath("/srv/\(number)/app.db")
      var facts = OwnershipFacts(path: path, databases: RecordedDatabases(records))
      facts.tableMarks = [1, 2, 3]
      let found = RepositoryOwnership.decide(facts)
      #expect(found.database != nil)
      let others = found.otherPaths(facts)
      #expect(others.count <= 16 && !others.contains(path))
      records.append(OwnershipRecord(path: path, otherPaths: others, tableMarks: [1, 2, 3]))
    }
    let databases = RecordedDatabases(records)
    #expect(databases.all.count == 1 && databases.all[0].paths.count == 41)
    // The database is back at an earlier path; or another file is there while the database is at
    // its present path.
    #expect(decide("/srv/3/app.db", records).database?.path == "/srv/40/app.db")
    #expect(decide("/srv/3/app.db", records, present: ["/srv/40/app.db"]).database == nil)
  }

  @Test("If a link leads to another file, it still is the database of that name")
  func link() {
    let old = OwnershipRecord(path: "/srv/1/app.db", otherPaths: ["/srv/now/app.db"])
    let found = decide("/srv/2/app.db", given: "/srv/now/app.db", [old], present: ["/srv/1/app.db"])
    #expect(found.database?.path == "/srv/1/app.db")
    let facts = OwnershipFacts(
      path: "/srv/2/app.db", givenPath: "/srv/now/app.db", databases: RecordedDatabases([old]))
    #expect(found.otherPaths(facts) == ["/srv/now/app.db", "/srv/1/app.db"])
  }

  @Test("A refusal names the databases in the folder and gives a command to paste")
  func words() {
    let others = RecordedDatabases([Self.app]).all
    let storing = RepositoryOwnership.storingError("/srv/my queue.db", folder: "/srv/backups", others)
    #expect(storing.code.exitCode == 8 && storing.message.contains("/srv/app.db"))
    #expect(
      storing.hint?.hasPrefix("holdfast create --database '/srv/my queue.db' --backup-dir '/srv/backups-my queue'; ")
        == true)
    #expect(storing.hint?.contains("[[databases]]") == true)
    let reading = RepositoryOwnership.readingError("typo.db", folder: "/srv/backups", others)
    #expect(reading.code.exitCode == 8)
    #expect(reading.hint?.contains("holdfast list --database /srv/app.db --backup-dir /srv/backups") == true)
  }

  @Test("A new repository is refused in an empty folder in which this host knows one of another database")
  func newPlace() {
    func decide(_ neighbours: [String]?, known: [String]) -> NewRepositoryPlace {
      NewRepositoryPlace.decide(NewRepositoryFacts(folder: "/mnt/b/new", neighbours: neighbours, known: known))
    }
    let lost = NewRepositoryPlace.withoutDisk(known: "/mnt/b/app")
    #expect(decide([], known: ["/srv/x", "/mnt/b/app"]) == lost && decide(nil, known: ["/mnt/b/app"]) == lost)
    #expect(decide(["lost+found"], known: ["/mnt/b/app"]) == lost)
    #expect(decide(["app"], known: ["/mnt/b/app"]) == .usable)
    #expect(decide([], known: []) == .usable && decide([], known: ["/mnt/b/new"]) == .usable)
    #expect(decide([], known: ["/mnt/app", "/mnt/b/deeper/app"]) == .usable)
    let facts = NewRepositoryFacts(folder: "/mnt/b/new", neighbours: [], known: [])
    #expect(NewRepositoryPlace.usable.error(facts, given: "/mnt/b/new") == nil)
    let error = lost.error(facts, given: "/mnt/my b/new")
    #expect(error?.code == .refused && error?.message.hasPrefix("/mnt/b is empty, and this host stored") == true)
    #expect(error?.hint?.contains("--new-repository --backup-dir '/mnt/my b/new'") == true)
  }

  @Test("A known repository is present, absent, or a different one")
  func presence() {
    func decide(
      _ known: Set<String>, recorded: String? = nil, archived: Set<String> = [], isRepository: Bool = false
    ) -> RepositoryPresence {
      var facts = PresenceFacts(known: known, recorded: recorded)
      (facts.archived, facts.isRepository) = (archived, isRepository)
      return RepositoryPresence.decide(facts)
    }
    #expect(decide(["a", "b"], recorded: "b") == .there)
    #expect(decide(["a"], recorded: "z", archived: ["a", "z"]) == .there)
    #expect(decide(["a"]) == .away && decide(["a"], isRepository: true) == .away)
    #expect(decide(["a"], archived: ["z"]) == .another("z") && decide(["a"], recorded: "z") == .another("z"))
    #expect(decide([]) == .away && decide([], isRepository: true) == .there)
    #expect(RepositoryPresence.there.error("/x", states: []) == nil)
    let away = RepositoryPresence.away.error("/x", states: ["/state/a b.json"])
    #expect(away?.code == .refused && away?.hint?.hasSuffix("; rm '/state/a b.json' forgets them") == true)
  }
}
