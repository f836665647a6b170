"""Restores backups and compares the result with the commits."""
import os

from soaking import ledger


class Proof:
    def __init__(self, guard, history, folder, violation):
        self.guard, self.history, self.folder, self.violation = guard, history, folder, violation
        self.known = {}   # backup -> the state that it contains
        self.seen = set()
        self.count = 0
        self.newest = None

    def prove_new(self, points, final):
        """The backups of one phase; the newest contains one of the states in `final`, if given.

        A backup between two phases is checked with those of the second.
        """
        listed = self.guard.listed()
        names = [point["backup_id"] for point in listed]
        for point in points - set(names) - self.guard.gone:
            # Retention may soon remove a backup, but not one of the newest.
            self.violation(f"{point} was said to be stored and is not listed")
        for point in listed:
            if point["backup_id"] not in self.seen and is_provable(point):
                self.check_order(point, self.prove(point["backup_id"]))
        self.seen |= set(names)
        newest = next((name for name in reversed(names) if name in points), None)
        if final and (held := self.known.get(newest)) and held not in final:
            ends = ", ".join(sorted(map(str, final)))
            self.violation(f"{newest} is the newest and holds {held}; the database ended at {ends}")
        return listed

    def holds(self, stage):
        """Whether the newest backup of the database's own history contains the database's present state."""
        listed = [point for point in self.guard.listed() if point["backup_type"] != "safety"]
        return not listed or self.known.get(listed[-1]["backup_id"]) in self.history.read().final(stage.lineage)

    def check_order(self, point, state):
        """A later backup contains no earlier state."""
        if state and self.newest and state.lineage == self.newest.lineage and state.seq < self.newest.seq:
            self.violation(f"{point['backup_id']} holds {state}, and an earlier point {self.newest}")
        self.newest = state or self.newest

    def prove_all(self):
        """Every existing backup; if one was checked before, it contains the same state as then."""
        self.prove_new(set(), None)
        self.prove_again(set(self.known))

    def prove_again(self, points):
        listed = {point["backup_id"] for point in self.guard.listed()}
        for point in sorted(points & listed & set(self.known)):
            before = self.known[point]
            if (state := self.prove(point)) != before:
                self.violation(f"{point} holds {state}, and held {before}")

    def prove(self, point):
        """The state that a backup contains; None if it was never committed, which is a violation."""
        path = f"{self.folder}/restored.db"
        try:
            if failure := self.guard.restore(point, path):
                return self.violation(f"{point} could not be restored: {failure}")
            state = ledger.prove(path)
        except ledger.Broken as broken:
            return self.violation(f"{point} restores to what was never committed: {broken}")
        finally:
            for suffix in ("", "-wal", "-shm", "-journal"):
                if os.path.exists(path + suffix):
                    os.remove(path + suffix)
        self.count += 1
        if not self.history.read().was_committed(state):
            return self.violation(f"{point} holds {state}, which was never committed")
        self.known[point] = state
        return state


def is_provable(point):
    """False for a restore's safety backup of a database that was damaged or empty."""
    return point["kind"] != "raw" and not (point["backup_type"] == "safety" and point["original_size"] == 0)
