import SQLitePages

/// How it is known which pages changed since the newest point.
enum ChangeKnowledge: Hashable, Sendable, CustomStringConvertible {
  /// None: the database is in the state in which that point was stored.
  case known
  /// The tracker followed the database from that point on.
  case followed(TrackerProof)
  /// It could not: every page was compared.
  case compared(reason: String)

  var description: String {
    switch self {
    case .known: "nothing has changed"
    case .followed(let proof): "followed: \(proof.rawValue)"
    case .compared(let reason): "compared: \(reason)"
    }
  }
}
