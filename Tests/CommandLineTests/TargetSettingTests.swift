import BackupPolicy
import TestSupport
import Testing

@testable import holdfast

@Suite("The settings [[targets]] and [[databases.targets]]", .ownThread)
struct TargetSettingTests {
  @Test("Every row has its meaning and reason, and its default and example are valid")
  func rows() throws {
    let rows = TargetSettingTable.rows
    #expect(Set(rows.map(\.name)).count == rows.count)
    for row in rows {
      #expect(!row.summary.isEmpty && !row.reason.isEmpty && !row.summary.hasSuffix("."), "\(row.name)")
      let text = try #require(row.standardText ?? row.example, "\(row.name)")
      #expect(throws: Never.self, "\(row.name)") { try row.kind.read(.untyped(text)) }
      #expect(TargetKey.named(row.name) == row.key)
    }
    #expect(rows.filter(\.key.isRule).map(\.name) == SettingTable.rows.filter(\.isRule).map(\.key.name))
  }

  @Test("A table at the top is for every database, one below [[databases]] for that one, and target for all")
  func read() throws {
    let bed = try ConfigurationBed()
    let configuration = try bed.configuration(
      environment: ["AWS_REGION": "eu-west-1"],
      toml: """
        keep_daily = 7
        target = "s3://spare/{name}"
        [[targets]]
        url = "s3://shop-backups/{name}?endpoint=https://s3.example.com"
        name = "s3"
        interval = "1min"
        access = "append"
        keep_last = 3
        keep_tag = ["release"]
        thin = false
        max_lag = "2h"
        check = "0"
        storage_class = "STANDARD_IA"
        credentials_file = "s3-key"
        ca_file = "/etc/ca.pem"
        proxy = "http://proxy:3128"
        upload_limit = "2MiB"
        [[databases]]
        path = "a.db"
        [[databases.targets]]
        url = "nas/{name}"
        keep_last = "none"
        [[databases]]
        path = "b c.db"
        thin = false
        """)
    #expect(configuration.problems == [])
    let databases = try configuration.databases()
    let targets = try databases.map { try $0.targets($0.settings.retention()) }
    #expect(targets.map { $0.map(\.name) } == [["s3", "nas", "spare"], ["s3", "spare"]])
    #expect(
      targets.map { $0.map(\.address) } == [
        ["s3://shop-backups/a?endpoint=https://s3.example.com", bed.folder.path("nas/a"), "s3://spare/a"],
        ["s3://shop-backups/b%20c?endpoint=https://s3.example.com", "s3://spare/b%20c"],
      ])
    let s3 = targets[0][0]
    #expect(s3.settings.name == "s3" && s3.settings.interval == 60_000 && s3.settings.access == .append)
    #expect(!s3.settings.thins && s3.maxLag == 7200 && s3.check == 0 && s3.storageClass == "STANDARD_IA")
    #expect(s3.settings.retention.rules.keepLast == 3 && s3.settings.retention.rules.keepTags == [["release"]])
    #expect(s3.settings.retention.rules.keepDaily == nil)
    #expect(s3.connection.credentialsFile == bed.folder.path("s3-key") && s3.connection.caFile == "/etc/ca.pem")
    #expect(s3.connection.proxy == "http://proxy:3128" && s3.connection.limits.upload == 2 << 20)
    #expect(s3.connection.surroundings.region == "eu-west-1")
    let (nas, spare) = (targets[0][1], targets[0][2])
    #expect(nas.settings.retention.rules.isEmpty && nas.settings.interval == 10_000 && nas.settings.access == .full)
    #expect(nas.settings.thins && nas.maxLag == 900 && nas.check == 86400 && nas.connection.limits.upload == nil)
    #expect(spare.settings.retention.rules.keepDaily == 7 && spare.settings.retention.minFreeSpace == nil)
    #expect(!targets[1][1].settings.thins)
  }

  @Test("One target can be given without a file: by the environment, .env or a flag")
  func single() throws {
    let bed = try ConfigurationBed()
    func addresses(_ configuration: Configuration) throws -> [String] {
      try configuration.databases().flatMap { try $0.targets(nil) }.map(\.address)
    }
    let database = ["DATABASE_URL": "/srv/app.db"]
    let variable = database.merging(["BACKUP_TARGET": "/mnt/nas/{name}"]) { $1 }
    #expect(try addresses(bed.configuration(environment: variable)) == ["/mnt/nas/app"])
    #expect(
      try addresses(bed.configuration(environment: database, env: "BACKUP_TARGET=s3://bucket\n")) == ["s3://bucket"])
    #expect(try addresses(bed.configuration(flags: [.target: "x"], environment: variable)) == ["x"])
    #expect(try addresses(bed.configuration(flags: [.target: "none"], environment: variable)) == [])
    #expect(try addresses(bed.configuration(environment: database)) == [])
  }

  @Test("A name comes from the address: the bucket, or the last part of the path that is not the database's name")
  func names() throws {
    let bed = try ConfigurationBed()
    func name(_ url: String) throws -> String? {
      try bed.configuration(toml: "database = \"/srv/a.db\"\n[[targets]]\nurl = \"\(url)\"").databases().first?
        .targets(nil).first?.name
    }
    #expect(try name("s3://shop-backups/x/{name}") == "shop-backups")
    #expect(try name("s3:https://host.example/bucket/x") == "bucket")
    #expect(try name("/mnt/nas/{name}") == "nas" && name("/mnt/my nas/") == "my-nas" && name("/") == "target")
    #expect(try name("file:///mnt/usb/{name}") == "usb")
  }

  @Test(
    "A mistake is reported with its place and the probable correction",
    arguments: [
      ("targets = true", "1:1: targets is not an array of tables", "write [[targets]]"),
      ("[targets]\nurl = \"/x\"", "1:1: targets is not an array of tables", "write [[targets]]"),
      ("targets = [1]", "1:12: targets has an item that is not a table", "write [[targets]]"),
      ("[[target]]\nurl = \"/x\"", "1:1: [[target]] is not a table of settings", "write [[targets]]"),
      ("[[targets]]\nname = \"x\"", "1:1: [[targets]] has no url", "s3://bucket/prefix"),
      (
        "[[targets]]\nurl = \"/x\"\nintervall = \"1s\"", "3:1: intervall is not a setting of [[targets]]",
        "mean interval?"
      ),
      (
        "[[targets]]\nurl = \"/x\"\nmax-lag = \"1s\"", "3:1: max-lag is not a setting of [[targets]]",
        "write max_lag here"
      ),
      ("[[targets]]\nbucket = \"x\"", "2:1: bucket is not a setting of [[targets]]", "url = \"s3://bucket/prefix\""),
      (
        "[[targets]]\nurl = \"/x\"\nsecret_access_key = \"s\"", "3:1: secret_access_key is a secret", "credentials_file"
      ),
      (
        "[[databases]]\npath = \"a.db\"\n[[databases.targets]]\nur = \"/x\"", "4:1: ur is not a setting of", "mean url?"
      ),
    ])
  func tables(toml: String, problem: String, hint: String) throws {
    let bed = try ConfigurationBed()
    let problems = try bed.configuration(toml: toml).problems
    #expect(problems.count == 1)
    let found = try #require(problems.first)
    #expect(found.message.hasPrefix("\(bed.toml):\(problem)"), "\(found.message)")
    #expect(found.hint.contains(hint), "\(found.hint)")
  }

  @Test(
    "A wrong value is reported with its place, and never with a password",
    arguments: [
      ("url = \"ftp://host/x\"", "2:7: url: there is no store of the kind ftp", "s3://bucket/prefix"),
      ("url = \"s3://user:hidden@bucket/x\"", "2:7: url: the address of a store contains a user", "credentials_file"),
      ("url = \"https://user:hidden@host/x\"", "2:7: url: write an S3 store as s3://bucket/prefix", "credentials_file"),
      ("url = \"s3://b/x?secret_key=hidden\"", "2:7: url: the address has an unknown option 'secret_key'", "s3://"),
      (
        "url = \"s3://b?endpoint=http://host.example.com\"", "2:7: url: http://host.example.com is not encrypted",
        "s3://"
      ),
      ("url = \"/x/{database}\"", "2:7: url contains braces, but only {name} is replaced", "write {name}"),
      ("url = \"${PLACE}/x\"", "2:7: url contains braces", "write {name}"),
      ("url = 3", "2:7: url is 3, which is not s3://bucket/prefix", "in quotes"),
      ("url = \"\"", "2:7: url is empty", "s3://"),
      ("url = \"none\"", "2:7: url is none, but a table needs a place", "remove the table"),
      ("url = \"/x\"\nname = \"a b\"", "3:8: name is \"a b\", which is not the name of a target", "letters"),
      ("url = \"/x\"\ninterval = 10", "3:12: interval is 10, which is not a time with a unit", "\"10s\""),
      ("url = \"/x\"\naccess = \"readonly\"", "3:10: access is \"readonly\", which is not full, append or", "use full"),
      ("url = \"/x\"\nkeep_last = 0.5", "3:13: keep_last is a floating-point number", "use a whole number"),
      (
        "url = \"/x\"\nstorage_class = \"DEEP_ARCHIVE\"", "3:17: storage_class is \"DEEP_ARCHIVE\", whose",
        "STANDARD_IA"
      ),
      ("url = \"/x\"\nstorage_class = \"glacier\"", "3:17: storage_class is \"glacier\", whose objects", "GLACIER_IR"),
      ("url = \"/x\"\nproxy = \"http://u:hidden@p:1\"", "3:9: proxy contains a user or a password", "https_proxy"),
      ("url = \"/x\"\nproxy = \"proxy:3128\"", "3:9: proxy is \"proxy:3128\", which is not the URL", "http://"),
      ("url = \"/x\"\nupload_limit = 2", "3:16: upload_limit is 2, which is not", "\"2MiB\""),
      ("url = \"/x\"\nupload_limit = \"5%\"", "3:16: upload_limit is \"5%\", which is not", "2MiB"),
      ("url = \"/x\"\nupload_limit = \"12b\"", "3:16: upload_limit is \"12b\", which is too low", "1KiB"),
      ("url = \"backups/off\"", "2:7: url names", "another disk"),
    ])
  func values(toml: String, problem: String, hint: String) throws {
    let bed = try ConfigurationBed()
    let configuration = try bed.configuration(
      toml: "[[targets]]\n\(toml)\n[[databases]]\npath = \"a.db\"\nbackup_dir = \"backups\"")
    #expect(configuration.problems == [])
    let found = try #require(configuration.targetProblems(configuration.databases()).first)
    #expect(found.message.hasPrefix("\(bed.toml):\(problem)"), "\(found.message)")
    #expect(found.hint.contains(hint) && !"\(found)".contains("hidden"), "\(found)")
  }

  @Test("Two targets of one database cannot have one name or one place")
  func collisions() throws {
    let bed = try ConfigurationBed()
    func problems(_ toml: String) throws -> [String] {
      let configuration = try bed.configuration(toml: toml)
      return configuration.targetProblems(try configuration.databases()).map {
        $0.message.replacing(bed.folder.path + "/", with: "")
      }
    }
    let database = "[[databases]]\npath = \"a.db\"\n"
    #expect(
      try problems("[[targets]]\nurl = \"s3://b/x\"\n[[targets]]\nurl = \"s3://b/y\"\n\(database)") == [
        "holdfast.toml:4:7: url gives a target the name b, which line 2 also gives"
      ])
    #expect(
      try problems(
        "[[targets]]\nurl = \"s3://b/x\"\n\(database)[[databases.targets]]\nurl = \"s3://b/x/?list=1\"\nname = \"c\"")
        == [
          "holdfast.toml:6:7: url names s3://b/x/?list=1, which line 2 also names"
        ])
    #expect(
      try problems("[[targets]]\nurl = \"nas\"\n[[targets]]\nurl = \"./nas/\"\nname = \"c\"\n\(database)").count == 1)
    // Each database has its own.
    #expect(
      try problems(
        "\(database)[[databases.targets]]\nurl = \"/x\"\n[[databases]]\npath = \"b.db\"\n[[databases.targets]]\nurl = \"/x\""
      )
        == [])
  }

  @Test("config show lists the targets, and not an address that may contain a password")
  func show() throws {
    let bed = try CommandBed(rows: 1)
    try bed.folder.write(
      "holdfast.toml",
      Array("database = \"app.db\"\n[[targets]]\nurl = \"nas/{name}\"\nkeep_last = 3\ncheck = \"0\"\n".utf8))
    let text = try bed.succeed("config", "show", environment: ["DATABASE_URL": ""])
    #expect(
      text.hasSuffix(
        """

        [target nas]
        url                  nas/app                      holdfast.toml line 3 column 7
        name                 nas                          default
        interval             10s                          default
        access               full                         default
        keep_last            3                            holdfast.toml line 4 column 13
        max_lag              15min                        default
        check                0                            holdfast.toml line 5 column 9

        """), "\(text)")
    let secret = try bed.succeed(
      "config", "show", environment: ["DATABASE_URL": "", "BACKUP_TARGET": "s3://me:hidden@bucket/x"])
    #expect(!secret.contains("hidden") && secret.contains("not an address that can be used"))
  }

  @Test("config check looks at the files that targets name")
  func files() throws {
    let bed = try CommandBed(rows: 1)
    try bed.folder.write("open", [])
    try bed.python("import os, sys; os.chmod(sys.argv[1], 0o644)", bed.folder.path("open"))
    try bed.folder.write(
      "holdfast.toml",
      Array("[[targets]]\nurl = \"s3://b\"\ncredentials_file = \"open\"\nca_file = \"gone\"\n".utf8))
    let result = try bed.run("config", "check")
    #expect(result.status == 64)
    #expect(
      result.stderr == """
        holdfast: warning: holdfast.toml:3:20: credentials_file names open, which every user of this host can read
        holdfast: hint: chmod 600 open
        holdfast: error: holdfast.toml:4:11: ca_file names gone, which does not exist
        holdfast: hint: check the path

        """)
  }
}
