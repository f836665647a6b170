"""The commits of the applications with their times: one file each, every line flushed before the next step."""
import os, time
from dataclasses import dataclass, field

from soaking.ledger import State


class Journal:
    """An application's side of it."""

    def __init__(self, path):
        self.descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, *words):
        os.write(self.descriptor, (" ".join(map(str, words)) + "\n").encode())
        os.fdatasync(self.descriptor)

    def trying(self, state):
        self.write("try", state.lineage, state.seq, state.hash)

    def done(self, state):
        self.write("done", state.lineage, state.seq, state.hash)

    def active(self, start):
        """A program wrote to the database's files from `start` (monotonic seconds) to now."""
        self.write("active", start, time.monotonic())


@dataclass
class History:
    """All journals of a folder, read as they grow."""
    folder: str
    tried: set = field(default_factory=set)
    done: dict = field(default_factory=dict)        # (lineage, seq) -> State
    spans: list = field(default_factory=list)       # (start, end) of writing, monotonic seconds
    offsets: dict = field(default_factory=dict)

    def read(self):
        for name in sorted(os.listdir(self.folder)):
            path = os.path.join(self.folder, name)
            with open(path, "rb") as file:
                file.seek(self.offsets.get(path, 0))
                text = file.read()
            # If an application was killed, it may leave half a line.
            whole = text[:text.rfind(b"\n") + 1]
            self.offsets[path] = self.offsets.get(path, 0) + len(whole)
            for line in whole.decode().splitlines():
                self.take(line.split())
        return self

    def take(self, words):
        if words[0] == "active":
            self.spans.append((float(words[1]), float(words[2])))
            return
        state = State(words[1], int(words[2]), words[3])
        self.tried.add(state)
        if words[0] == "done":
            self.done[state.lineage, state.seq] = state

    def was_committed(self, state):
        """Or may have been: the application was killed before it could report it."""
        other = self.done.get((state.lineage, state.seq))
        return state == other or (other is None and state in self.tried)

    def final(self, lineage):
        """The states that the database may be in now."""
        last = max((seq for name, seq in self.done if name == lineage), default=0)
        open_ends = {state for state in self.tried if state.lineage == lineage and state.seq > last}
        return open_ends | ({self.done[lineage, last]} if last else set())

    def bursts(self, since, gap):
        """Spans since then, merged if less than `gap` seconds separate them."""
        merged = []
        for start, end in sorted(span for span in self.spans if span[1] >= since):
            if merged and start - merged[-1][1] < gap:
                merged[-1][1] = max(merged[-1][1], end)
            else:
                merged.append([start, end])
        return merged
