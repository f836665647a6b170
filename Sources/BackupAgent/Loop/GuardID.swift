/// Names a guarded database in messages and tables for as long as the agent lives; never given twice.
struct GuardID: Hashable, Sendable {
  var number: Int
}
