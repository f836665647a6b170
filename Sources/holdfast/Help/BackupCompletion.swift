import ArgumentParser
import BackupEngine
import BackupPolicy

/// Completes the ID of a backup in a shell. It reads only the listing of the repository that the
/// typed options name, and offers nothing if that fails.
enum BackupCompletion {
  /// `latest` and the IDs, newest first.
  static let ids = CompletionKind.custom { words, index, _ in candidates(TypedWords(words, cursor: index)) }

  /// The same, and `live`.
  static let idsOrLive = CompletionKind.custom { words, index, _ in
    ["live"] + candidates(TypedWords(words, cursor: index))
  }

  /// The same for a command that takes one ID, followed by something else.
  static let firstID = CompletionKind.custom { words, index, _ in
    let typed = TypedWords(words, cursor: index)
    return typed.before.contains { $0 == "latest" || PointID($0) != nil } ? [] : candidates(typed)
  }

  private static func candidates(_ typed: TypedWords) -> [String] {
    guard let folder = try? repository(typed.options), let names = try? SystemFileOperations().list(folder) else {
      return []
    }
    let ids = Set(names.compactMap { ArchiveName($0)?.id }).sorted {
      ($0.second.milliseconds, $0.text.count, $0.text) > ($1.second.milliseconds, $1.text.count, $1.text)
    }
    return ids.isEmpty ? [] : ["latest"] + ids.map(\.text)
  }

  private static func repository(_ options: CallerOptions) throws -> String {
    let flags = Layer.flags([.database: options["--database"], .backupDir: options["--backup-dir"]])
    let configuration = try Configuration(
      flags: flags, file: options["--config"], envFile: options["--env-file"], environment: .current)
    try configuration.requireSound()
    return try configuration.database()?.backupDir ?? configuration.backupDirAlone()
  }
}

/// The words of a command line that is still being typed, as a shell passes them on: with quotes,
/// and in bash split at `=` and `:`.
struct TypedWords {
  /// The words before the cursor, without the program.
  let before: [String]
  let options: CallerOptions

  /// - Parameter cursor: the index of the word that is completed.
  init(_ words: [String], cursor: Int) {
    let other = words.indices.filter { $0 != cursor }.map { words[$0] }
    before = Self.joined(Array(words.prefix(max(1, cursor)))).dropFirst().map(Self.unquoted)
    options = CallerOptions(Self.joined(other).dropFirst().map(Self.unquoted))
  }

  /// Puts together what bash split: `--database`, `=`, `sqlite`, `:`, `///app.db`.
  private static func joined(_ words: [String]) -> [String] {
    var result: [String] = []
    var isOpen = false
    for word in words {
      let isSeparator = word == "=" || word == ":"
      if let last = result.indices.last, last > 0, isOpen || isSeparator {
        result[last] += word
      } else {
        result.append(word)
      }
      isOpen = isSeparator
    }
    return result
  }

  /// A word without its quotes, and with the home folder for `~`.
  static func unquoted(_ word: String) -> String {
    var result = ""
    var quote: Character?
    var isEscaped = false
    for character in word {
      if isEscaped {
        result.append(character)
        isEscaped = false
      } else if character == "\\", quote != "'" {
        isEscaped = true
      } else if character == quote {
        quote = nil
      } else if quote == nil, character == "'" || character == "\"" {
        quote = character
      } else {
        result.append(character)
      }
    }
    return withHome(result, typed: word)
  }

  private static func withHome(_ word: String, typed: String) -> String {
    guard typed.hasPrefix("~/"), let home = ProcessEnvironment.current["HOME"] else { return word }
    return home + word.dropFirst()
  }
}
