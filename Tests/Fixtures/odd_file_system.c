/* Mounts a folder through a file system with the limits of network shares.
 *
 * usage: odd_file_system FOLDER MOUNT-POINT [OPTION=VALUE ...]   continues in the background until it is unmounted
 *
 *   stamps=N       time stamps count in steps of N seconds (0: those of the folder below)
 *   folder_sync=N  fsync of a folder fails with this errno (0: it works)
 *   lock=N         flock fails with this errno (0: it works)
 *   numbers=0      statfs gives no numbers
 */
#define FUSE_USE_VERSION 31
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const char *below;
static long stamps = 0, folder_sync = 0, lock_error = 0, numbers = 1;

#define BELOW(name, path)  \
  char name[PATH_MAX];     \
  snprintf(name, sizeof name, "%s%s", below, path)
#define RESULT(call) return (call) < 0 ? -errno : 0

static void coarsen(struct timespec *time) {
  if (!stamps) return;
  time->tv_sec -= time->tv_sec % stamps;
  time->tv_nsec = 0;
}

/* If a file has a descriptor, it is reached by that: a removed file may still be in use. */
static int odd_getattr(const char *path, struct stat *facts, struct fuse_file_info *file) {
  BELOW(real, path);
  if ((file ? fstat((int)file->fh, facts) : lstat(real, facts)) < 0) return -errno;
  coarsen(&facts->st_atim), coarsen(&facts->st_mtim), coarsen(&facts->st_ctim);
  return 0;
}

static int odd_readdir(const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset, struct fuse_file_info *file,
                       enum fuse_readdir_flags flags) {
  BELOW(real, path);
  DIR *folder = opendir(real);
  if (!folder) return -errno;
  for (struct dirent *entry; (entry = readdir(folder));) fill(buffer, entry->d_name, NULL, 0, 0);
  closedir(folder);
  return 0;
}

static int keep(int descriptor, struct fuse_file_info *file) {
  if (descriptor < 0) return -errno;
  file->fh = (uint64_t)descriptor;
  return 0;
}

static int odd_create(const char *path, mode_t mode, struct fuse_file_info *file) {
  BELOW(real, path);
  return keep(open(real, file->flags | O_CREAT, mode), file);
}

static int odd_open(const char *path, struct fuse_file_info *file) {
  BELOW(real, path);
  return keep(open(real, file->flags), file);
}

static int odd_read(const char *path, char *bytes, size_t count, off_t offset, struct fuse_file_info *file) {
  ssize_t done = pread((int)file->fh, bytes, count, offset);
  return done < 0 ? -errno : (int)done;
}

static int odd_write(const char *path, const char *bytes, size_t count, off_t offset, struct fuse_file_info *file) {
  ssize_t done = pwrite((int)file->fh, bytes, count, offset);
  return done < 0 ? -errno : (int)done;
}

static int odd_truncate(const char *path, off_t length, struct fuse_file_info *file) {
  BELOW(real, path);
  RESULT(file ? ftruncate((int)file->fh, length) : truncate(real, length));
}

static int odd_fsync(const char *path, int only_data, struct fuse_file_info *file) { RESULT(fsync((int)file->fh)); }

static int odd_fsyncdir(const char *path, int only_data, struct fuse_file_info *file) { return (int)-folder_sync; }

static int odd_release(const char *path, struct fuse_file_info *file) { RESULT(close((int)file->fh)); }

static int odd_flock(const char *path, struct fuse_file_info *file, int operation) {
  if (lock_error) return (int)-lock_error;
  RESULT(flock((int)file->fh, operation));
}

static int odd_statfs(const char *path, struct statvfs *facts) {
  if (statvfs(below, facts) < 0) return -errno;
  if (!numbers) facts->f_blocks = facts->f_bfree = facts->f_bavail = facts->f_files = facts->f_ffree = 0;
  return 0;
}

static int odd_rename(const char *old, const char *new, unsigned flags) {
  BELOW(from, old);
  BELOW(to, new);
  RESULT(renameat2(AT_FDCWD, from, AT_FDCWD, to, flags));
}

static int odd_utimens(const char *path, const struct timespec times[2], struct fuse_file_info *file) {
  BELOW(real, path);
  RESULT(utimensat(AT_FDCWD, real, times, AT_SYMLINK_NOFOLLOW));
}

static int odd_mkdir(const char *path, mode_t mode) {
  BELOW(real, path);
  RESULT(mkdir(real, mode));
}

static int odd_rmdir(const char *path) {
  BELOW(real, path);
  RESULT(rmdir(real));
}

static int odd_unlink(const char *path) {
  BELOW(real, path);
  RESULT(unlink(real));
}

static int odd_chmod(const char *path, mode_t mode, struct fuse_file_info *file) {
  BELOW(real, path);
  RESULT(chmod(real, mode));
}

static int odd_chown(const char *path, uid_t user, gid_t group, struct fuse_file_info *file) {
  BELOW(real, path);
  RESULT(lchown(real, user, group));
}

static const struct fuse_operations operations = {
    .getattr = odd_getattr, .readdir = odd_readdir, .create = odd_create,     .open = odd_open,
    .read = odd_read,       .write = odd_write,     .truncate = odd_truncate, .fsync = odd_fsync,
    .fsyncdir = odd_fsyncdir, .release = odd_release, .flock = odd_flock,     .statfs = odd_statfs,
    .rename = odd_rename,   .utimens = odd_utimens, .mkdir = odd_mkdir,       .rmdir = odd_rmdir,
    .unlink = odd_unlink,   .chmod = odd_chmod,     .chown = odd_chown,
};

static void set(const char *option) {
  const char *value = strchr(option, '=');
  if (!value) exit(64);
  long number = atol(value + 1);
  if (!strncmp(option, "stamps=", 7)) stamps = number;
  else if (!strncmp(option, "folder_sync=", 12)) folder_sync = number;
  else if (!strncmp(option, "lock=", 5)) lock_error = number;
  else if (!strncmp(option, "numbers=", 8)) numbers = number;
  else exit(64);
}

int main(int count, char **words) {
  if (count < 3) return 64;
  below = words[1];
  for (int i = 3; i < count; i++) set(words[i]);
  char *own[] = {words[0], words[2], NULL};
  return fuse_main(2, own, &operations, NULL);
}
