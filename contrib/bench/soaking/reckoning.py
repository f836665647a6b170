"""What has to be true after all."""
import os, statistics

MIB = 2**20
WARM_UP = 60   # seconds in which an allocator takes what it will need
FEWEST = 24    # samples after that; fewer say nothing


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
    """Temporary files that nobody will need."""
    found = [os.path.join(folder, name) for folder, _, names in os.walk(backups) for name in names if ".tmp" in name]
    return [f"left over: {', '.join(found)}"] if found else []
