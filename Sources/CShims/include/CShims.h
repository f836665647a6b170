// The few C lines that Swift cannot express: names behind _GNU_SOURCE, and calls that the Glibc
// module omits.
#pragma once
#include <stdint.h>
#include <sys/types.h>

/// Renames without replacing an existing target (renameat2 with RENAME_NOREPLACE). Returns 0, or -1
/// with errno.
int cshims_rename_noreplace(const char *from, const char *to);

/// The same for two names in one open folder.
int cshims_rename_noreplace_in(int folder, const char *from, const char *to);

/// Starts writing dirty pages of a range to disk without waiting (sync_file_range,
/// SYNC_FILE_RANGE_WRITE).
int cshims_start_writeback(int fd, int64_t offset, int64_t length);

/// Reserves space for a file's first `length` bytes without a change of its size (fallocate with
/// FALLOC_FL_KEEP_SIZE). Returns 0, or -1 with errno.
int cshims_reserve(int fd, int64_t length);

/// The kernel's number for the kind of a path's file system (`f_type` of statfs); 0 if unknown.
uint32_t cshims_file_system_type(const char *path);

/// A path's inode, and the time at which it was created in nanoseconds since the epoch (statx,
/// STATX_BTIME). Returns 0, or -1 if the file system keeps no such time.
int cshims_birth(const char *path, uint64_t *inode, int64_t *born);

/// Whether a time server keeps the kernel's clock: 1 or 0, or -1 if the kernel does not say.
int cshims_clock_is_kept(void);

/// The names of a path's extended attributes, each followed by a NUL (listxattr). Returns their
/// length in bytes, or -1 with errno.
ssize_t cshims_list_attributes(const char *path, char *names, size_t size);
/// An extended attribute's value (getxattr). Returns its length in bytes, or -1 with errno.
ssize_t cshims_get_attribute(const char *path, const char *name, void *value, size_t size);
/// Sets an extended attribute of an open file (fsetxattr). Returns 0, or -1 with errno.
int cshims_set_attribute(int fd, const char *name, const void *value, size_t size);

/// The program's command-line arguments, its own name first, ended by NULL. From the C library,
/// because Swift reads them from `/proc`, which may not be mounted.
char **cshims_arguments(void);

/// Prevents core dumps of this process and ptrace by other processes (PR_SET_DUMPABLE 0).
int cshims_forbid_core_dumps(void);

/// Writes the message of an errno, in the C locale, into the caller's buffer.
void cshims_error_message(int error, char *buffer, size_t length);

/// A close-on-exec eventfd with count 0; `nonblocking` is 0 or 1. Returns the descriptor, or -1
/// with errno.
int cshims_eventfd(int nonblocking);

/// A close-on-exec pipe: the ends for reading and for writing. Returns 0, or -1 with errno.
int cshims_pipe(int ends[2]);

/// A close-on-exec, non-blocking inotify instance. Returns the descriptor, or -1 with errno.
int cshims_inotify(void);

/// Names the calling thread (at most 15 bytes), for ps and debuggers.
void cshims_name_thread(const char *name);

/// A close-on-exec, non-blocking timerfd: of CLOCK_REALTIME if `realtime` is not 0, else of
/// CLOCK_BOOTTIME. Returns the descriptor, or -1 with errno.
int cshims_timerfd(int realtime);

/// Arms a timer for an absolute time, or disarms it (0, 0). With `cancelled_by_set`, a read of it
/// fails with ECANCELED once the clock is set; this call also fails then, but still arms the timer.
/// Returns 0, or -1 with errno.
int cshims_timerfd_set(int fd, int64_t seconds, int64_t nanoseconds, int cancelled_by_set);

/// Sends a datagram to a service manager's socket: a path, or `@` and an abstract name. Returns 0,
/// or -1 with errno.
int cshims_notify(const char *socket_name, const char *message);

/// A close-on-exec, non-blocking stream socket with a name in the file system: bound, with the mode
/// 0600, and listening, or connected. Returns the descriptor, or -1 with errno.
int cshims_local_socket(const char *path, int listens);

/// A close-on-exec, non-blocking datagram socket that is connected to a name in the file system.
/// Returns the descriptor, or -1 with errno.
int cshims_datagram_socket(const char *path);

/// Accepts a connection (accept4), close-on-exec and non-blocking. Returns the descriptor, or -1
/// with errno.
int cshims_accept(int fd);

/// The user of the process at the other end of a local socket (SO_PEERCRED), as it was when the
/// connection was made. Returns 0, or -1 with errno.
int cshims_peer_user(int fd, uid_t *user);

/// Keeps the C library's heap small: freed blocks of 128 KiB and more are returned to the kernel at
/// once (glibc would raise that limit with each), and threads share two arenas.
void cshims_keep_heap_small(void);

/// Returns free memory of the heap to the kernel.
void cshims_trim_heap(void);

/// Removes the program's own code from this process's resident memory; the parts that are still
/// needed come back from the page cache when they run. For a process that runs for a long time
/// after a start that touched much more code than its work does.
void cshims_drop_code(void);

/// Adds blocks of 64 bytes to MD5 of four streams at a time. `state` holds its four words, each of
/// the four streams.
void cshims_md5(uint32_t state[16], const uint8_t *const streams[4], size_t blocks);
