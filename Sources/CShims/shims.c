#define _GNU_SOURCE
#include "include/CShims.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/statfs.h>
#include <sys/timex.h>
#include <unistd.h>

int cshims_rename_noreplace(const char *from, const char *to) {
  return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
}

int cshims_start_writeback(int fd, int64_t offset, int64_t length) {
  return sync_file_range(fd, offset, length, SYNC_FILE_RANGE_WRITE);
}

uint32_t cshims_file_system_type(const char *path) {
  struct statfs facts;
  return statfs(path, &facts) == 0 ? (uint32_t)facts.f_type : 0;
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

int cshims_inotify(void) { return inotify_init1(IN_CLOEXEC | IN_NONBLOCK); }

void cshims_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }
