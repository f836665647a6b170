/// The JSON documents that scripts may rely on, as far as the tests read them.

struct Point: Decodable {
  var backupId: String
  var filename: String
  var status: String
  var encrypted: Bool
  var compressed: Bool
  var cipher: String?
  var description: String?
  var tags: [String]
  var totalRecords: Int?
  var verified: Bool
  var sequence: Int?
  var backupType: String
  var databasePath: String?
  var kind: String
  var parentId: String?
  var chainId: String?
  var pagesStored: Int?
  var pinned: Bool
  /// Only if there is an anomaly.
  var problems: [String]?
}

/// The fields that `show` adds to a backup.
struct Shown: Decodable {
  struct Link: Decodable {
    var backupId: String
    var createdAt: String
    var kind: String
    var bytes: Int
    var pagesStored: Int?
  }
  var backupId: String
  var chain: [Link]?
  var at: ChoiceByTime?
}

/// The fields that `--at` adds to a document.
struct ChoiceByTime: Decodable {
  var requested: String
  var createdAt: String
  var behindMs: Int
  var warnings: [String]
}

struct Verdict: Decodable {
  struct Check: Decodable {
    var name: String
    var passed: Bool
    var detail: String?
  }
  var backupId: String
  var verified: Bool
  var checks: [Check]
  var error: Failure.Details?
  /// Only if it is not verified.
  var newestWhole: String?
  var at: ChoiceByTime?
}

struct Restoration: Decodable {
  struct Plan: Decodable {
    struct Step: Decodable {
      var step: String
      var detail: String
      var bytes: Int?
    }
    var install: String
    var steps: [Step]
  }
  var backupId: String
  var plan: Plan
  var executed: Bool
  var safetyBackupId: String?
  var warnings: [String]
  var at: ChoiceByTime?
}

struct Refusal: Decodable {
  struct Details: Decodable {
    var reason: String
    var hint: String
  }
  var refused: Details
}

struct CleanupResult: Decodable {
  struct Entry: Decodable {
    var backupId: String
    var reasons: [String]
  }
  var keep: [Entry]
  var remove: [Entry]
  var refused: String?
}

struct Statistics: Decodable {
  var totalBackups: Int
  var totalSize: Int
  var averageSize: Int
  var verifiedBackups: Int
  var failedBackups: Int
  var averageCompression: Double?
  var oldestBackup: String?
  var newestBackup: String?
}

struct Deletion: Decodable {
  var backupId: String
  var deleted: Bool
  /// All backups that are removed, in this order.
  var points: [String]
}

struct Initialisation: Decodable {
  var backupDir: String
  var keyFile: String
  var keyCreated: Bool
}

struct Failure: Decodable {
  struct Details: Decodable {
    var code: String
    var message: String
    var hint: String?
  }
  var error: Details
}
