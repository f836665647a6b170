/// Text that must not appear in a message, a log or JSON: however it is printed, it reads "…".
package struct Secret: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// For signatures and headers of requests only.
  package let exposed: String

  package init(_ text: String) { exposed = text }

  package var description: String { "…" }
  package var debugDescription: String { "…" }
  package var customMirror: Mirror { Mirror(self, children: []) }
}
