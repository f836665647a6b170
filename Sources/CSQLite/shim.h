// SQLite as installed, plus the calls that Swift cannot spell because they are variadic.
#pragma once
#include <sqlite3.h>
#include <string.h>

/// `sqlite3_db_config` for the options that take an int to set and an int out-pointer.
static inline int csqlite_db_config(sqlite3 *db, int option, int value, int *now) {
  return sqlite3_db_config(db, option, value, now);
}

/// Copies `count` bytes out of memory that other processes write (the wal-index), through volatile reads,
/// so that the compiler neither merges nor repeats them.
static inline void csqlite_copy_shared(void *to, const volatile void *from, int count) {
  const volatile unsigned char *source = (const volatile unsigned char *)from;
  unsigned char *target = (unsigned char *)to;
  for (int i = 0; i < count; i++) target[i] = source[i];
}

/// A full memory barrier, as `walIndexTryHdr` in SQLite's wal.c uses between its two reads.
static inline void csqlite_barrier(void) { __sync_synchronize(); }

/// `SQLITE_TRANSIENT` is a cast that Swift does not import.
static inline int csqlite_bind_text(sqlite3_stmt *statement, int index, const char *text) {
  return sqlite3_bind_text(statement, index, text, -1, SQLITE_TRANSIENT);
}
