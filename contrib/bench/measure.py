"""Run one command and report its time and memory."""
import os, resource, subprocess, time
from dataclasses import dataclass

# A child starts as a copy of this interpreter, and the kernel counts that copy's memory as the
# child's: if a peak is at or below this floor, it is only an upper bound.
RSS_FLOOR = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Failed(Exception):
    """The command ended with an exit code other than 0; has its output."""


@dataclass
class Sample:
    wall: float      # seconds
    cpu: float       # seconds, of all its processes
    rss: int         # bytes, peak of its largest process
    other: float     # processors that everything else on the machine kept busy meanwhile
    stored: int = 0  # bytes that it wrote


def busy_seconds():
    """Seconds that all processors together were busy since the machine started."""
    with open("/proc/stat") as file:
        user, nice, system, idle, iowait, *rest = map(int, file.readline().split()[1:9])
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")


def run(command, environment):
    """`command` is a list, or a text for bash. Others' writes are flushed first: it pays for its own writes only."""
    if isinstance(command, str):
        command = ["bash", "-o", "pipefail", "-c", command]
    os.sync()
    busy, start = busy_seconds(), time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Failed(f"exit code {process.returncode}: {output.decode(errors='replace')[-2000:].strip()}")
    cpu = usage.ru_utime + usage.ru_stime
    return Sample(wall, cpu, usage.ru_maxrss * 1024, max(0, busy_seconds() - busy - cpu) / wall)


def bytes_below(path):
    """Bytes of a file, or of all files below a folder."""
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in names)
