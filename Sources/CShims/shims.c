#define _GNU_SOURCE
#include "include/CShims.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/timerfd.h>
#include <sys/timex.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static char **arguments;

// The C library passes the arguments to each constructor function.
__attribute__((constructor)) static void keep_arguments(int count, char **values) {
  (void)count;
  arguments = values;
}

char **cshims_arguments(void) { return arguments; }

int cshims_rename_noreplace(const char *from, const char *to) {
  return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
}

int cshims_rename_noreplace_in(int folder, const char *from, const char *to) {
  return renameat2(folder, from, folder, to, RENAME_NOREPLACE);
}

int cshims_start_writeback(int fd, int64_t offset, int64_t length) {
  return sync_file_range(fd, offset, length, SYNC_FILE_RANGE_WRITE);
}

int cshims_reserve(int fd, int64_t length) { return fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, length); }

uint32_t cshims_file_system_type(const char *path) {
  struct statfs facts;
  return statfs(path, &facts) == 0 ? (uint32_t)facts.f_type : 0;
}

int cshims_birth(const char *path, uint64_t *inode, int64_t *born) {
  struct statx facts;
  if (statx(AT_FDCWD, path, 0, STATX_INO | STATX_BTIME, &facts) != 0) return -1;
  if ((facts.stx_mask & (STATX_INO | STATX_BTIME)) != (STATX_INO | STATX_BTIME)) return -1;
  *inode = facts.stx_ino;
  *born = (int64_t)facts.stx_btime.tv_sec * 1000000000 + facts.stx_btime.tv_nsec;
  return 0;
}

int cshims_clock_is_kept(void) {
  struct timex state = {0};
  if (adjtimex(&state) < 0) return -1;
  return !(state.status & STA_UNSYNC);
}

int cshims_forbid_core_dumps(void) { return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }

void cshims_error_message(int error, char *buffer, size_t length) {
  // GNU strerror_r may return a static string instead of filling the buffer.
  const char *message = strerror_r(error, buffer, length);
  if (message != buffer) snprintf(buffer, length, "%s", message);
}

int cshims_eventfd(int nonblocking) { return eventfd(0, EFD_CLOEXEC | (nonblocking ? EFD_NONBLOCK : 0)); }

int cshims_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

int cshims_inotify(void) { return inotify_init1(IN_CLOEXEC | IN_NONBLOCK); }

void cshims_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }

int cshims_timerfd(int realtime) {
  return timerfd_create(realtime ? CLOCK_REALTIME : CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
}

int cshims_timerfd_set(int fd, int64_t seconds, int64_t nanoseconds, int cancelled_by_set) {
  struct itimerspec when = {.it_value = {.tv_sec = seconds, .tv_nsec = nanoseconds}};
  return timerfd_settime(fd, TFD_TIMER_ABSTIME | (cancelled_by_set ? TFD_TIMER_CANCEL_ON_SET : 0), &when, NULL);
}

// The address of a local socket. Returns 0, or -1 with errno if the name is empty or does not fit.
static int local_address(const char *name, struct sockaddr_un *address, socklen_t *size) {
  size_t length = strlen(name);
  if (length == 0 || length >= sizeof address->sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  memcpy(address->sun_path, name, length);
  *size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
  return 0;
}

int cshims_notify(const char *socket_name, const char *message) {
  struct sockaddr_un address;
  socklen_t size;
  if (local_address(socket_name, &address, &size) != 0) return -1;
  if (socket_name[0] == '@') address.sun_path[0] = 0;
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  ssize_t sent =
      sendto(fd, message, strlen(message), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&address, size);
  int error = errno;
  close(fd);
  errno = error;
  return sent < 0 ? -1 : 0;
}

int cshims_local_socket(const char *path, int listens) {
  struct sockaddr_un address;
  socklen_t size;
  if (local_address(path, &address, &size) != 0) return -1;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  // Nobody can connect between bind and listen, so the mode is in force for the first client.
  int failed = listens ? bind(fd, (struct sockaddr *)&address, size) != 0 || chmod(path, 0600) != 0 ||
                             listen(fd, 128) != 0
                       : connect(fd, (struct sockaddr *)&address, size) != 0;
  if (!failed) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

int cshims_datagram_socket(const char *path) {
  struct sockaddr_un address;
  socklen_t size;
  if (local_address(path, &address, &size) != 0) return -1;
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  if (connect(fd, (struct sockaddr *)&address, size) == 0) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

int cshims_accept(int fd) { return accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK); }

int cshims_peer_user(int fd, uid_t *user) {
  struct ucred peer;
  socklen_t size = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return -1;
  *user = peer.uid;
  return 0;
}

void cshims_keep_heap_small(void) {
  mallopt(M_MMAP_THRESHOLD, 128 << 10);
  mallopt(M_TRIM_THRESHOLD, 128 << 10);
  mallopt(M_ARENA_MAX, 2);
}

void cshims_trim_heap(void) { malloc_trim(0); }

// Code is mapped from its file, private and never written, so dropping its pages loses no data.
static int drop_code(struct dl_phdr_info *info, size_t size, void *unused) {
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *part = &info->dlpi_phdr[i];
    if (part->p_type != PT_LOAD || !(part->p_flags & PF_X) || (part->p_flags & PF_W)) continue;
    uintptr_t start = (info->dlpi_addr + part->p_vaddr) & ~(page - 1);
    uintptr_t end = (info->dlpi_addr + part->p_vaddr + part->p_memsz + page - 1) & ~(page - 1);
    madvise((void *)start, end - start, MADV_DONTNEED);
  }
  return 0;
}

void cshims_drop_code(void) { dl_iterate_phdr(drop_code, NULL); }

ssize_t cshims_list_attributes(const char *path, char *names, size_t size) { return listxattr(path, names, size); }

ssize_t cshims_get_attribute(const char *path, const char *name, void *value, size_t size) {
  return getxattr(path, name, value, size);
}

int cshims_set_attribute(int fd, const char *name, const void *value, size_t size) {
  return fsetxattr(fd, name, value, size, 0);
}
