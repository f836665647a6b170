// A later day for one program: its wall clock runs SOAK_SECONDS_AHEAD, and so do the times of files
// that it sees and the timers that it sets by the wall clock. Preloaded (LD_PRELOAD); see
// soaking/clock.py.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static long ahead;

__attribute__((constructor)) static void begin(void) {
  const char *text = getenv("SOAK_SECONDS_AHEAD");
  ahead = text ? atol(text) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int result = syscall(SYS_clock_gettime, clock, now);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += ahead;
  return result;
}

time_t time(time_t *result) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (result) *result = now.tv_sec;
  return now.tv_sec;
}

// A program compares these times with its clock.
static int shifted(int result, struct stat *found) {
  if (result == 0) {
    found->st_atim.tv_sec += ahead;
    found->st_mtim.tv_sec += ahead;
    found->st_ctim.tv_sec += ahead;
  }
  return result;
}

int fstatat(int folder, const char *path, struct stat *found, int flags) {
  return shifted(syscall(SYS_newfstatat, folder, path, found, flags), found);
}

int stat(const char *path, struct stat *found) { return fstatat(AT_FDCWD, path, found, 0); }

int lstat(const char *path, struct stat *found) { return fstatat(AT_FDCWD, path, found, AT_SYMLINK_NOFOLLOW); }

int fstat(int file, struct stat *found) { return shifted(syscall(SYS_fstat, file, found), found); }

// A timer of the wall clock is recognised by its cancellation when the clock is set; other timers
// have clocks of their own.
int timerfd_settime(int timer, int flags, const struct itimerspec *when, struct itimerspec *before) {
  struct itimerspec real = *when;
  if ((flags & TFD_TIMER_CANCEL_ON_SET) && real.it_value.tv_sec > ahead) real.it_value.tv_sec -= ahead;
  return syscall(SYS_timerfd_settime, timer, flags, &real, before);
}
