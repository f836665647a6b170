"""The usage of running processes, read from /proc, and how busy the rest of the machine was meanwhile."""
import os, resource, time
from dataclasses import dataclass, fields

from measure import busy_seconds

TICK = 1 / os.sysconf("SC_CLK_TCK")


@dataclass
class Usage:
    """Sums over a process and its descendants. The difference of two is the usage between them."""
    ticks: int = 0        # user and system, as /proc/PID/stat counts them
    run_ns: int = 0       # exact, of the threads that exist now
    voluntary: int = 0    # context switches of the threads that exist now: it slept
    forced: int = 0       # it was interrupted
    resident: int = 0     # bytes, now
    anonymous: int = 0    # bytes of that which are no file's pages
    peak: int = 0         # bytes
    threads: int = 0
    descriptors: int = 0
    zombies: int = 0

    def __sub__(self, earlier):
        return Usage(**{f.name: getattr(self, f.name) - getattr(earlier, f.name) for f in fields(self)})


def read(path):
    with open(path) as file:
        return file.read()


def status_number(text, name):
    """A number of /proc/PID/status; 0 if the line is missing, as a zombie's memory is."""
    line = next((line for line in text.splitlines() if line.startswith(name + ":")), None)
    return int(line.split()[1]) if line else 0


def parents():
    """Parent of every process."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                found[int(entry)] = int(read(f"/proc/{entry}/stat").rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                pass
    return found


def family(pid):
    """The process and its descendants."""
    parent, members = parents(), {pid}
    while True:
        more = {child for child, of in parent.items() if of in members} - members
        if not more:
            return members
        members |= more


def usage(pid):
    total = Usage()
    for member in family(pid):
        try:
            add(total, f"/proc/{member}")
        except (FileNotFoundError, ProcessLookupError):
            pass
    return total


def add(total, process):
    state, *rest = read(process + "/stat").rpartition(")")[2].split()
    total.zombies += state == "Z"
    total.ticks += int(rest[10]) + int(rest[11])
    status = read(process + "/status")
    total.resident += status_number(status, "VmRSS") * 1024
    total.anonymous += status_number(status, "RssAnon") * 1024
    total.peak += status_number(status, "VmHWM") * 1024
    total.descriptors += len(os.listdir(process + "/fd"))
    for thread in os.listdir(process + "/task"):
        try:
            run_ns = int(read(f"{process}/task/{thread}/schedstat").split()[0])
            status = read(f"{process}/task/{thread}/status")
        except (FileNotFoundError, ProcessLookupError):
            continue
        total.threads += 1
        total.run_ns += run_ns
        total.voluntary += status_number(status, "voluntary_ctxt_switches")
        total.forced += status_number(status, "nonvoluntary_ctxt_switches")


def own_seconds():
    """Processor time of this process and of its children that have ended."""
    mine, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return mine.ru_utime + mine.ru_stime + children.ru_utime + children.ru_stime


class Meanwhile:
    """Processors that everything else on the machine keeps busy from now on."""

    def __init__(self, *pids):
        self.pids = pids
        self.start, self.busy, self.mine = time.perf_counter(), busy_seconds(), self.known()

    def known(self):
        return own_seconds() + sum(usage(pid).ticks * TICK for pid in self.pids)

    def other(self):
        """Must be read while the processes still run."""
        wall = time.perf_counter() - self.start
        return max(0.0, busy_seconds() - self.busy - (self.known() - self.mine)) / wall
