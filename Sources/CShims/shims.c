#define _GNU_SOURCE
#include "include/CShims.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

int cshims_rename_noreplace(const char *from, const char *to) {
  return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
}

int cshims_start_writeback(int fd, int64_t offset, int64_t length) {
  return sync_file_range(fd, offset, length, SYNC_FILE_RANGE_WRITE);
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

int cshims_timerfd(int realtime) {
  return timerfd_create(realtime ? CLOCK_REALTIME : CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
}

int cshims_timerfd_set(int fd, int64_t seconds, int64_t nanoseconds, int cancelled_by_set) {
  struct itimerspec when = {.it_value = {.tv_sec = seconds, .tv_nsec = nanoseconds}};
  return timerfd_settime(fd, TFD_TIMER_ABSTIME | (cancelled_by_set ? TFD_TIMER_CANCEL_ON_SET : 0), &when, NULL);
}
