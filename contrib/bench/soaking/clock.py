"""Days that pass between two lives of the agent: programs are started with a clock that runs ahead."""
import os, shutil, subprocess, sys

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ahead.c")


class Clock:
    """Seconds by which the programs' clock is ahead of this machine's; it only ever moves on."""

    def __init__(self, folder):
        self.ahead = 0
        self.library = f"{folder}/ahead.so"
        compiler = shutil.which("cc")
        self.can_pass = bool(compiler) and subprocess.run(
            [compiler, "-shared", "-fPIC", "-O", "-o", self.library, SOURCE]).returncode == 0
        if not self.can_pass:
            print("without days that pass: there is no C compiler", file=sys.stderr)

    def environment(self, more=0):
        """The environment that makes a program's clock run ahead, by `more` seconds than that of the agent."""
        if self.ahead + more == 0:
            return {}
        return {"LD_PRELOAD": self.library, "SOAK_SECONDS_AHEAD": str(self.ahead + more)}
