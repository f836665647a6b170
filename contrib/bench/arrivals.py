"""Waits for files to get their final names, with inotify: polling would disturb the measurement."""
import ctypes, os, select, struct, time

MOVED_TO, CREATE, CLOSE_WRITE, ISDIR = 0x80, 0x100, 0x8, 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


class Arrivals:
    """New names in a folder and the folders below it, as they appear: by a rename, or complete after a write."""

    def __init__(self, folder, pattern):
        self.pattern, self.folders = pattern, {}
        self.descriptor = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        for path, _, _ in os.walk(folder):
            self.watch(path)

    def watch(self, path):
        number = libc.inotify_add_watch(self.descriptor, path.encode(), MOVED_TO | CREATE | CLOSE_WRITE)
        if number < 0:
            raise OSError(ctypes.get_errno(), "inotify_add_watch", path)
        self.folders[number] = path

    def close(self):
        os.close(self.descriptor)

    def clear(self):
        """Forgets all arrivals until now."""
        while self.read(0):
            pass

    def next(self, seconds):
        """The next path that matches the pattern and its time (`time.perf_counter`); (None, None) after a while."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            names = self.read(left)
            now = time.perf_counter()
            for path in names:
                if self.pattern.search(path):
                    return path, now
        return None, None

    def read(self, seconds):
        if not select.select([self.descriptor], [], [], seconds)[0]:
            return []
        data, found = os.read(self.descriptor, 1 << 16), []
        while data:
            number, mask, _, length = struct.unpack_from("iIII", data)
            path = os.path.join(self.folders[number], data[16:16 + length].rstrip(b"\0").decode())
            data = data[16 + length:]
            if mask & ISDIR:
                self.watch(path)
            elif mask & (MOVED_TO | CLOSE_WRITE):
                found.append(path)
        return found
