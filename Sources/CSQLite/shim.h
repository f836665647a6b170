// The installed SQLite, and the calls that Swift cannot express because they are variadic or casts.
#pragma once
#include <linux/stat.h>
#include <sqlite3.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
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
