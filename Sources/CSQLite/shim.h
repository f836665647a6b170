// The installed SQLite, and the calls that Swift cannot express because they are variadic or casts.
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <sqlite3.h>
#include <stdint.h>
#include <signal.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

/// `sqlite3_db_config` for the options that take an int to set and an int out-pointer.
static inline int csqlite_db_config(sqlite3 *db, int option, int value, int *now) {
  return sqlite3_db_config(db, option, value, now);
}

/// Copies `count` bytes (a multiple of 4, both ends aligned) out of memory that other processes
/// write (the wal-index), through volatile reads of whole words, so that the compiler does not
/// merge, repeat or tear them.
static inline void csqlite_copy_shared(void *to, const volatile void *from, int count) {
  const volatile uint32_t *source = (const volatile uint32_t *)from;
  uint32_t *target = (uint32_t *)to;
  for (int i = 0; i < count / 4; i++) target[i] = source[i];
}

/// Reads one word of such memory.
static inline uint32_t csqlite_load_shared(const volatile void *from) { return *(const volatile uint32_t *)from; }

/// A full memory barrier, as `walIndexTryHdr` in SQLite's wal.c uses between its two reads.
static inline void csqlite_barrier(void) { __sync_synchronize(); }

/// Binds a text of `count` bytes, which may hold any values.
static inline int csqlite_bind_bytes(sqlite3_stmt *statement, int index, const void *text, int count) {
  return sqlite3_bind_text(statement, index, (const char *)text, count, SQLITE_TRANSIENT);
}

/// Binds a NUL-terminated text. `SQLITE_TRANSIENT` is a cast that Swift does not import.
static inline int csqlite_bind_text(sqlite3_stmt *statement, int index, const char *text) {
  return sqlite3_bind_text(statement, index, text, -1, SQLITE_TRANSIENT);
}

/// Device and inode of a file, from the kernel's memory (statx with AT_STATX_DONT_SYNC and
/// AT_NO_AUTOMOUNT): no request to a server, so that a file on a dead mount does not block, and no
/// automatic mount. Returns 0, or -1 with errno.
static inline int csqlite_stat_cached(int folder, const char *name, uint64_t *device, uint64_t *inode) {
  struct statx file;
  if (syscall(SYS_statx, folder, name, 0x4800, STATX_BASIC_STATS, &file) != 0) return -1;
  *device = makedev(file.stx_dev_major, file.stx_dev_minor);
  *inode = file.stx_ino;
  return 0;
}

/// Whether two threads share one table of open files (kcmp with KCMP_FILES): 0 if they do, more if
/// they do not, -1 if the kernel does not say.
static inline int csqlite_compare_file_tables(pid_t one, pid_t other) {
  return (int)syscall(SYS_kcmp, one, other, 2, 0, 0);
}

/// The kernel's number for the kind of a path's file system (`f_type` of statfs); 0 if unknown.
static inline uint32_t csqlite_file_system_type(const char *path) {
  struct statfs system;
  return statfs(path, &system) == 0 ? (uint32_t)system.f_type : 0;
}

/// Asks the kernel for a lease on an open file, F_RDLCK or F_WRLCK, and gives it back at once: 0 if
/// it was granted, 1 if other descriptors of the file are in the way, -1 if the kernel does not say.
/// If a program opens the file in between, it waits until then, and this process gets SIGURG, which
/// it ignores unless it has a handler.
static inline int csqlite_try_lease(int file, int kind) {
  const int set_signal = 10, set_lease = 1024; // F_SETSIG, F_SETLEASE: hidden without _GNU_SOURCE.
  if (fcntl(file, set_signal, SIGURG) != 0) return -1;
  int granted = fcntl(file, set_lease, kind), error = errno;
  if (granted == 0) {
    fcntl(file, set_lease, F_UNLCK);
    return 0;
  }
  struct stat status;
  // A lease needs the owner of the file, or CAP_LEASE, which root in a container does not have.
  if (error == EACCES && geteuid() == 0 && fstat(file, &status) == 0) {
    int before = setfsuid(status.st_uid); // Of this thread alone.
    granted = fcntl(file, set_lease, kind);
    error = errno;
    if (granted == 0) fcntl(file, set_lease, F_UNLCK);
    setfsuid((uid_t)before);
  }
  return granted == 0 ? 0 : error == EAGAIN ? 1 : -1;
}

/// Whether a process, this one included, has a POSIX lock on a byte of a file: 1 if so, 0 if not, -1
/// if unknown. A child asks, because a process that closes any descriptor of a file drops its own
/// locks on it. The child makes system calls only, and raises no signal when it ends, so that no
/// `wait` of the program finds it.
static inline int csqlite_is_locked(const char *path, uint64_t byte) {
  pid_t child = (pid_t)syscall(SYS_clone, 0, 0, 0, 0, 0);
  if (child == 0) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)byte, .l_len = 1};
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    int known = file >= 0 && fcntl(file, F_GETLK, &lock) == 0;
    _exit(!known ? 2 : lock.l_type != F_UNLCK);
  }
  if (child < 0) return -1;
  int status = 0;
  while (waitpid(child, &status, __WALL) < 0) {
    if (errno != EINTR) return -1;
  }
  return WIFEXITED(status) && WEXITSTATUS(status) < 2 ? WEXITSTATUS(status) : -1;
}
