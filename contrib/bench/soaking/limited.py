"""A folder for a run, and in it a small file system of its own for the backups, which can be full."""
import os, shutil, subprocess, sys, tempfile

SIZE = "384m"
WITHIN = "HOLDFAST_SOAK_NAMESPACE"


class Limited:
    """`limited` is the folder of the backups; `can_fill` is true if that is a file system of its own."""

    def __init__(self, given):
        self.keep = given.keep
        self.folder = tempfile.mkdtemp(prefix="holdfast-soak.", dir=given.folder)
        self.limited = f"{self.folder}/limited"
        os.mkdir(self.limited)
        self.can_fill = self.mount()

    def mount(self):
        command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=700", "tmpfs", self.limited]
        if subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0:
            return True
        if WITHIN not in os.environ and namespaces():
            # In a mount namespace of its own the run needs no rights to mount, so it starts over in
            # one.
            shutil.rmtree(self.folder)
            os.environ[WITHIN] = "1"
            os.execvp("unshare", ["unshare", "--map-root-user", "--mount", sys.executable, *sys.argv])
        print("without a full disk: mounting a small tmpfs is not permitted here", file=sys.stderr)
        return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.keep and self.can_fill:
            shutil.copytree(self.limited, f"{self.folder}/kept", symlinks=True)
        if self.can_fill:
            subprocess.run(["umount", self.limited], check=True)
        if self.keep:
            print(f"kept: {self.folder}", file=sys.stderr)
        else:
            shutil.rmtree(self.folder)


def namespaces():
    """Whether an unprivileged user may have a mount namespace."""
    probe = ["unshare", "--map-root-user", "--mount", "true"]
    return bool(shutil.which("unshare")) and subprocess.run(probe, stderr=subprocess.DEVNULL).returncode == 0
