"""Conditions at the end of a run, and conditions of removed backups."""
import os, statistics, time
from datetime import datetime

MIB = 2**20
WARM_UP = 60   # seconds in which an allocator takes all the memory that it will need
FEWEST = 24    # samples after that; fewer prove nothing


def flatness(looks):
    """Growth of memory and of descriptors in the agent's last life, from its first quarter to its last."""
    last = max((look.life for look in looks), default=0)
    words = [f"{look.zombies} zombies" for look in looks if look.zombies][:1]
    mine = [look for look in looks if look.life == last]
    mine = [look for look in mine if look.at > mine[0].at + WARM_UP]
    if len(mine) < FEWEST:
        return words
    quarter = len(mine) // 4

    def medians(key):
        values = [getattr(look, key) for look in mine]
        return statistics.median(values[:quarter]), statistics.median(values[-quarter:])

    before, after = medians("resident")
    if after > before * 1.1 + 2 * MIB:
        words.append(f"resident memory grew from {before / MIB:.1f} to {after / MIB:.1f} MiB")
    for key in ("descriptors", "threads"):
        before, after = medians(key)
        if after > before:
            words.append(f"{key} grew from {before:.0f} to {after:.0f}")
    return words


def leftovers(backups):
    """Temporary files that no program will need."""
    found = [os.path.join(folder, name) for folder, _, names in os.walk(backups) for name in names if ".tmp" in name]
    return [f"left over: {', '.join(found)}"] if found else []


class Departures:
    """Backups are removed when a command or a rule requires it, and not before."""
    YOUNG = 3600   # seconds in which compaction leaves every backup

    def __init__(self, guard, max_backups):
        self.guard, self.max_backups = guard, max_backups
        self.there = {}         # backups by ID, as they were last seen
        self.by_agent = set()

    def check(self, listed, unseen):
        """Wrong removals since the last call; empty if a command died while it removed backups."""
        before, self.there = self.there, {point["backup_id"]: point for point in listed}
        gone = {name: point for name, point in before.items() if name not in self.there and name not in self.guard.gone}
        self.by_agent |= set(gone)
        fulls = sum(is_counted(point) for point in listed)
        return [] if unseen else [words for point in gone.values() if (words := self.objection(point, fulls))]

    def objection(self, point, fulls):
        name, age = point["backup_id"], self.age(point)
        if point["kind"] == "incremental" and point["chain_id"] in self.there and age < self.YOUNG:
            return f"{name} is gone, {age:.0f} s old, and its full is there"
        if is_counted(point) and fulls < self.max_backups:
            return f"{name}, a full, is gone, and {fulls} are left of {self.max_backups}"
        return None

    def age(self, point):
        created = datetime.fromisoformat(point["created_at"].replace("Z", "+00:00"))
        return time.time() + self.guard.clock.ahead - created.timestamp()


def is_counted(point):
    """Whether max_backups counts it."""
    return point["kind"] == "full" and point["backup_type"] in ("manual", "scheduled")


def counted(listed, max_backups, thinned):
    """After a cleanup without holds and, if `thinned`, after a compaction a week later."""
    fulls = sum(is_counted(point) for point in listed)
    words = [f"{fulls} fulls are there, not the newest {max_backups}"] if fulls > max_backups else []
    old = [point["backup_id"] for point in listed
           if point["kind"] == "incremental" and point["backup_type"] == "change" and not point["verified"]]
    # The newest backup stays, the newest of the database's own history, and those that others still
    # need.
    if thinned and len(old) > 3:
        words.append(f"{len(old)} incrementals of changes outlived a week: {', '.join(old[:6])}")
    return words
