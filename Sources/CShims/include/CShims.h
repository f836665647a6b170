// The few C lines that Swift cannot say: names behind _GNU_SOURCE, and calls that the Glibc module leaves out.
#pragma once
#include <stdint.h>
#include <sys/types.h>

/// Renames without replacing an existing target (renameat2 with RENAME_NOREPLACE). Returns 0, or -1 with errno.
int cshims_rename_noreplace(const char *from, const char *to);

/// Starts writing dirty pages of a range to disk without waiting (sync_file_range, SYNC_FILE_RANGE_WRITE).
int cshims_start_writeback(int fd, int64_t offset, int64_t length);

/// The kernel's number of the kind of file system that a path lies on (`f_type` of statfs); 0 where it cannot be told.
uint32_t cshims_file_system_type(const char *path);

/// Whether a time server keeps the kernel's clock: 1 or 0, or -1 where the kernel does not say.
int cshims_clock_is_kept(void);

/// The names of a path's extended attributes, each with a NUL behind it (listxattr). Returns their bytes, or -1 with errno.
ssize_t cshims_list_attributes(const char *path, char *names, size_t size);
/// An extended attribute's value (getxattr). Returns its bytes, or -1 with errno.
ssize_t cshims_get_attribute(const char *path, const char *name, void *value, size_t size);
/// Gives an open file an extended attribute (fsetxattr). Returns 0, or -1 with errno.
int cshims_set_attribute(int fd, const char *name, const void *value, size_t size);

/// The arguments that the program was started with, its own name first, ended by NULL. From the C library, because `/proc`, in
/// which Swift looks for them, may not be mounted.
char **cshims_arguments(void);

/// Keeps this process out of core dumps and out of reach of other processes' ptrace (PR_SET_DUMPABLE 0).
int cshims_forbid_core_dumps(void);

/// Message of an errno in the C locale, into a buffer of the caller's.
void cshims_error_message(int error, char *buffer, size_t length);

/// A close-on-exec eventfd with count 0; `nonblocking` is 0 or 1. Returns the descriptor, or -1 with errno.
int cshims_eventfd(int nonblocking);

/// A close-on-exec, non-blocking inotify instance. Returns the descriptor, or -1 with errno.
int cshims_inotify(void);

/// Names the calling thread (at most 15 bytes), for ps and debuggers.
void cshims_name_thread(const char *name);

/// A close-on-exec, non-blocking timerfd: of CLOCK_REALTIME where `realtime` is not 0, else of CLOCK_BOOTTIME. Returns the
/// descriptor, or -1 with errno.
int cshims_timerfd(int realtime);

/// Arms a timer for an absolute time, or disarms it (0, 0). With `cancelled_by_set` a reading of it fails with ECANCELED once
/// somebody sets the clock; so does this call, which arms it all the same. Returns 0, or -1 with errno.
int cshims_timerfd_set(int fd, int64_t seconds, int64_t nanoseconds, int cancelled_by_set);

/// Sends a datagram to a service manager's socket: a path, or `@` and an abstract name. Returns 0, or -1 with errno.
int cshims_notify(const char *socket_name, const char *message);

/// Keeps the C library's heap small: freed blocks of 128 KiB and more go back to the kernel at once (glibc would raise that
/// limit with each), and threads share two arenas.
void cshims_keep_heap_small(void);

/// Gives free memory of the heap back to the kernel.
void cshims_trim_heap(void);

/// Takes the program's own code out of this process's resident memory; what is still needed comes back from the page cache as it
/// runs. For a process that runs on for long after a start that touched much more than its work will.
void cshims_drop_code(void);
