#!/usr/bin/env python3
"""A real agent for some minutes among everything that happens to a database; every promise is checked.

usage: soak.py [--binary PATH] [--minutes 10] [--seed N] [--only PHASE,PHASE] [--json] [--keep]

Applications in processes of their own commit 1 to 1000 rows at a time, checkpoint, VACUUM, change the journal mode,
lock the others out, roll back, crash. The database is moved over, removed, emptied, damaged, created anew. The
agent is killed, stopped and started, also days later, and its disk is full for a while. People create, verify,
delete, clean up, compact, restore, drill, query, compare, pin, guard and undo beside it, and some of these commands
are killed.

Between phases no program writes, so that backups can be counted: one for each burst, none for anything else, and
the scheduled ones. Each new backup is restored and has to contain a committed state, and the last one of a phase the
state at the end of the phase (see soaking/ledger.py). After a compaction the rest of the chain contains the same
content as before. A backup is removed only if a rule or a command requires it. In the last part the agent is never
restarted, so that its memory and its descriptors have to stay flat.

Prints each violation with its phase and time; exit code 1 if there was one. The same seed makes the same choices.
"""
import argparse, json, os, random, signal, sys, tempfile
from collections import Counter

import agents
from soaking.limited import Limited
from soaking.run import Soak


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=agents.BINARY, help="a release build of holdfast")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    parser.add_argument("--only", help="names of phases, separated by commas")
    parser.add_argument("--max-backups", type=int, default=30, help="what the agent keeps")
    parser.add_argument("--schedule", default="*/2 * * * *", help="when it takes a full")
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    parser.add_argument("--keep", action="store_true", help="keep the folder")
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="where databases and backups are written")
    given = parser.parse_args()
    given.binary = os.path.abspath(given.binary)
    return given


def report(result):
    print(f"\n{'phase':22}{'times':>7}{'longest wait':>14}{'points, most often first':>40}{'violations':>12}")
    for phase, points in sorted(result["points_by_phase"].items()):
        often = ", ".join(f"{times} x {count}" for count, times in Counter(points).most_common())
        broken = sum(violation["phase"] == phase for violation in result["violations"])
        print(f"{phase:22}{len(points):7}{result['longest_wait'][phase]:12} s{often:>40}{broken:12}")
    for words in figures(result):
        print(words)


def figures(result):
    memory, files, peak = result["resident_mib"], result["descriptors"], result["peak"]
    yield ""
    if memory:
        yield (f"memory in the last life {min(memory)} to {max(memory)} MiB, last {memory[-1]}; "
               f"descriptors {min(files)} to {max(files)}, last {files[-1]}")
    yield (f"peaks over {result['lives']} lives: {peak['resident_mib']} MiB of memory, {peak['descriptors']} descriptors, "
           f"{peak['threads']} threads; {peak['repository_mib']} MiB of backups")
    if result["idle_share"] is not None:
        yield f"processor time in quiet phases: at most {result['idle_share'] * 100:.2f} % of one"
    gone = ", ".join(f"{count} {how}" for how, count in result["removed"].items())
    yield f"{result['days']} days passed for the agent; points removed: {gone}"
    yield (f"{result['phases']} phases, {result['commits']} commits, {result['points']} points stored, {result['proved']} "
           f"restored and proved, {len(result['violations'])} violations, seed {result['seed']}; "
           f"others kept {result['other']:.2f} processors busy")


def main():
    given = arguments()
    if not os.access(given.binary, os.X_OK):
        sys.exit(f"no {given.binary}: build a release, or name one with --binary")
    # If a person ends this, nothing stays mounted or running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with Limited(given) as place:
        result = Soak(given, place).run()
    print(json.dumps(result, indent=2)) if given.json else report(result)
    return 1 if result["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
