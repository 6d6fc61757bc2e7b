/// A file system in memory that forgets, when told so, whatever was not synced.
///
///     powerlossfs MOUNTPOINT
///
/// Stays in the foreground; ends with its parent or with its mount. Each directory at the top is a
/// disk of its own, whose name is durable. It is seen below the C library: whatever a program calls to
/// write and to sync, the kernel hands on to here, and what it would keep in memory after a kill -9 is
/// kept here.
///
/// One line written to `/.control` is one command; reading the file gives the last command's answer.
///
///     copy A B              B becomes an independent disk in A's state
///     crash A SEED          the power comes back; 0: nothing survives that was not synced
///     off A N               after N more calls that change something all calls fail; 0: now
///     skip A N              the Nth sync from now answers as if it had happened
///     ignore A KIND GLOB    so do all syncs of the kind over such a path
///     fail A KIND GLOB      the next such call fails with EIO
///     stall A KIND GLOB MS  such calls take so long
///     obey A                forgets the last three
///     capacity A BYTES      the disk is full beyond; 0: never
///     report A              counts: calls, syncs, ignored, used bytes
///
/// KIND is write, file, cut, link, unlink or rename: a write, the sync of a file, of one that was cut,
/// or of a directory in which GLOB was made, removed or the target of a rename.
#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fuse3/fuse.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "disk.h"

static const char control_path[] = "/.control";
static char answer[4096];
static const char *mount_point;

/// What an open descriptor stands for.
typedef struct handle {
    disk *disk;
    file *file;
    char *path;
} handle;

static handle *handle_of(struct fuse_file_info *info) {
    return info ? (handle *)(uintptr_t)info->fh : NULL;
}

/// Splits `/disk/path`; the path is NULL at the top. False where there is no such disk.
static bool split(const char *whole, disk **disk, const char **path) {
    char label[256];
    const char *start = whole + 1;
    const char *slash = strchr(start, '/');
    size_t length = slash ? (size_t)(slash - start) : strlen(start);
    if (length >= sizeof label) return false;
    memcpy(label, start, length);
    label[length] = 0;
    *disk = disk_find(label);
    *path = slash ? slash + 1 : "";
    return *disk != NULL;
}

static bool is_top(const char *path) { return strchr(path + 1, '/') == NULL; }

// MARK: Control

static const char *const kinds[CALL_KINDS] = {"write", "file", "cut", "link", "unlink", "rename"};

static int find_kind(const char *word) {
    for (int kind = 0; kind < CALL_KINDS; kind++)
        if (strcmp(kinds[kind], word) == 0) return kind;
    return -1;
}

static int command(char *line) {
    char verb[16] = "", label[256] = "", third[256] = "", fourth[256] = "", fifth[16] = "";
    int words = sscanf(line, "%15s %255s %255s %255s %15s", verb, label, third, fourth, fifth);
    answer[0] = 0;
    disk *disk = disk_find(label);
    if (words < 2 || disk == NULL) return -ENOENT;
    long number = strtol(third, NULL, 10);
    int kind = find_kind(third);
    if (strcmp(verb, "copy") == 0 && words == 3) {
        if (disk_find(third)) return -EEXIST;
        disk_copy(disk, disk_make(third));
    } else if (strcmp(verb, "crash") == 0 && words == 3) {
        disk_crash(disk, strtoull(third, NULL, 10));
    } else if (strcmp(verb, "off") == 0 && words == 3) {
        disk->calls_left = number;
    } else if (strcmp(verb, "skip") == 0 && words == 3) {
        disk->skip = number;
    } else if (strcmp(verb, "ignore") == 0 && words == 4 && kind >= 0) {
        disk_add_rule(disk, RULE_IGNORE, (enum call_kind)kind, fourth, 0);
    } else if (strcmp(verb, "fail") == 0 && words == 4 && kind >= 0) {
        disk_add_rule(disk, RULE_FAIL, (enum call_kind)kind, fourth, 0);
    } else if (strcmp(verb, "stall") == 0 && words == 5 && kind >= 0) {
        disk_add_rule(disk, RULE_STALL, (enum call_kind)kind, fourth, atoi(fifth));
    } else if (strcmp(verb, "obey") == 0) {
        disk_clear_rules(disk);
        disk->skip = 0;
    } else if (strcmp(verb, "capacity") == 0 && words == 3) {
        disk->capacity = strtoull(third, NULL, 10);
    } else if (strcmp(verb, "report") == 0) {
        snprintf(answer, sizeof answer, "calls %ld\nsyncs %ld\nignored %ld\nused %zu\n",
                 disk->calls, disk->syncs, disk->ignored, disk_used(disk));
    } else {
        return -EINVAL;
    }
    return 0;
}

// MARK: Looking

static void describe(const file *file, struct stat *status) {
    memset(status, 0, sizeof *status);
    bool is_directory = file == NULL || file->is_directory;
    status->st_mode = is_directory ? S_IFDIR | 0755 : S_IFREG | 0644;
    status->st_nlink = is_directory ? 2 : 1;
    status->st_size = file ? (off_t)file->size : 0;
    status->st_blocks = (status->st_size + 511) / 512;
    status->st_blksize = BLOCK_BYTES;
}

static int get_attributes(const char *path, struct stat *status, struct fuse_file_info *info) {
    handle *open = handle_of(info);
    if (open && open->file) return describe(open->file, status), 0;
    describe(NULL, status);
    if (path == NULL || strcmp(path, "/") == 0) return 0;
    if (strcmp(path, control_path) == 0) {
        status->st_mode = S_IFREG | 0600;
        return 0;
    }
    disk *disk;
    const char *rest;
    if (!split(path, &disk, &rest)) return -ENOENT;
    if (disk->is_off) return -EIO;
    if (*rest == 0) return 0;
    file *found = disk_look(disk, rest);
    if (found == NULL) return -ENOENT;
    describe(found, status);
    return 0;
}

struct listing {
    void *buffer;
    fuse_fill_dir_t fill;
};

static void list_one(const char *name, const file *file, void *context) {
    (void)file;
    struct listing *listing = context;
    listing->fill(listing->buffer, name, NULL, 0, 0);
}

static void list_label(const char *label, void *context) { list_one(label, NULL, context); }

static int open_directory(const char *path, struct fuse_file_info *info) {
    handle *made = calloc(1, sizeof *made);
    if (made == NULL) return -ENOMEM;
    const char *rest = NULL;
    if (strcmp(path, "/") != 0) {
        if (!split(path, &made->disk, &rest) || !disk_is_directory(made->disk, rest)) {
            free(made);
            return -ENOENT;
        }
        made->path = strdup(rest);
    }
    info->fh = (uint64_t)(uintptr_t)made;
    return 0;
}

static int read_directory(const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset,
                          struct fuse_file_info *info, enum fuse_readdir_flags flags) {
    (void)path, (void)offset, (void)flags;
    handle *open = handle_of(info);
    struct listing listing = {buffer, fill};
    fill(buffer, ".", NULL, 0, 0);
    fill(buffer, "..", NULL, 0, 0);
    if (open->disk == NULL) {
        disk_labels(list_label, &listing);
        return 0;
    }
    if (open->disk->is_off) return -EIO;
    disk_list(open->disk, open->path, list_one, &listing);
    return 0;
}

static int release(const char *path, struct fuse_file_info *info) {
    (void)path;
    handle *open = handle_of(info);
    if (open == NULL) return 0;
    file_release(open->file);
    free(open->path);
    free(open);
    return 0;
}

static int read_file(const char *path, char *bytes, size_t count, off_t offset,
                     struct fuse_file_info *info) {
    (void)path;
    handle *open = handle_of(info);
    if (open) {
        if (open->disk->is_off) return -EIO;
        return (int)file_read(open->file, bytes, count, (size_t)offset);
    }
    size_t length = strlen(answer);
    if ((size_t)offset >= length) return 0;
    if (count > length - (size_t)offset) count = length - (size_t)offset;
    memcpy(bytes, answer + offset, count);
    return (int)count;
}

// MARK: Changing

static int attach(disk *disk, const char *path, file *file, struct fuse_file_info *info) {
    handle *made = calloc(1, sizeof *made);
    if (made == NULL) return -ENOMEM;
    *made = (handle){disk, file, strdup(path)};
    file_retain(file);
    info->fh = (uint64_t)(uintptr_t)made;
    info->direct_io = 1;
    return 0;
}

static int open_file(const char *path, struct fuse_file_info *info) {
    if (strcmp(path, control_path) == 0) {
        info->direct_io = 1;
        return 0;
    }
    disk *disk;
    const char *rest;
    if (!split(path, &disk, &rest)) return -ENOENT;
    if (disk->is_off) return -EIO;
    file *found = disk_look(disk, rest);
    if (found == NULL) return -ENOENT;
    return attach(disk, rest, found, info);
}

static int create(const char *path, mode_t mode, struct fuse_file_info *info) {
    (void)mode;
    disk *disk;
    const char *rest;
    if (is_top(path) || !split(path, &disk, &rest)) return -EPERM;
    int failure = disk_begin_call(disk);
    file *made = NULL;
    if (failure == 0) failure = disk_create(disk, rest, false, &made);
    return failure ? failure : attach(disk, rest, made, info);
}

static int write_file(const char *path, const char *bytes, size_t count, off_t offset,
                      struct fuse_file_info *info) {
    (void)path;
    handle *open = handle_of(info);
    if (open == NULL) {
        char line[1024];
        if (count >= sizeof line) return -EINVAL;
        memcpy(line, bytes, count);
        line[count] = 0;
        int failure = command(line);
        return failure ? failure : (int)count;
    }
    int failure = disk_begin_call(open->disk);
    if (failure) return failure;
    return (int)disk_write(open->disk, open->path, open->file, bytes, count, (size_t)offset);
}

static int resize(const char *path, off_t size, struct fuse_file_info *info) {
    if (path && strcmp(path, control_path) == 0) return 0;
    handle *open = handle_of(info);
    disk *disk = open ? open->disk : NULL;
    const char *rest;
    if (disk == NULL && !split(path, &disk, &rest)) return -ENOENT;
    int failure = disk_begin_call(disk);
    if (failure) return failure;
    file *file = open ? open->file : disk_look(disk, rest);
    return file ? disk_resize(disk, file, (size_t)size) : -ENOENT;
}

static int allocate(const char *path, int mode, off_t offset, off_t count,
                    struct fuse_file_info *info) {
    (void)path;
    handle *open = handle_of(info);
    if (open == NULL || mode != 0) return -EOPNOTSUPP;
    int failure = disk_begin_call(open->disk);
    if (failure) return failure;
    size_t end = (size_t)(offset + count);
    return end > open->file->size ? disk_resize(open->disk, open->file, end) : 0;
}

static int sync_file(const char *path, int only_data, struct fuse_file_info *info) {
    (void)path, (void)only_data;
    handle *open = handle_of(info);
    if (open == NULL) return 0;
    int failure = disk_begin_call(open->disk);
    return failure ? failure : disk_sync_file(open->disk, open->path, open->file);
}

static int sync_directory(const char *path, int only_data, struct fuse_file_info *info) {
    (void)path, (void)only_data;
    handle *open = handle_of(info);
    // The names of the disks themselves are durable.
    if (open == NULL || open->disk == NULL) return 0;
    int failure = disk_begin_call(open->disk);
    return failure ? failure : disk_sync_directory(open->disk, open->path);
}

static int make_directory(const char *path, mode_t mode) {
    (void)mode;
    disk *disk;
    const char *rest;
    bool is_there = split(path, &disk, &rest);
    if (is_top(path)) {
        if (is_there) return -EEXIST;
        disk_make(path + 1);
        return 0;
    }
    if (!is_there) return -ENOENT;
    int failure = disk_begin_call(disk);
    return failure ? failure : disk_create(disk, rest, true, NULL);
}

static int remove_name(const char *path, bool is_directory) {
    disk *disk;
    const char *rest;
    if (!split(path, &disk, &rest)) return -ENOENT;
    if (*rest == 0) {
        if (!is_directory) return -EISDIR;
        disk_drop(disk);
        return 0;
    }
    int failure = disk_begin_call(disk);
    return failure ? failure : disk_unlink(disk, rest, is_directory);
}

static int unlink_file(const char *path) { return remove_name(path, false); }
static int remove_directory(const char *path) { return remove_name(path, true); }

static int rename_file(const char *from, const char *to, unsigned int flags) {
    disk *disk, *other;
    const char *rest, *target;
    if (flags != 0) return -EINVAL;
    if (!split(from, &disk, &rest) || !split(to, &other, &target)) return -ENOENT;
    if (disk != other || *rest == 0 || *target == 0) return -EXDEV;
    int failure = disk_begin_call(disk);
    return failure ? failure : disk_rename(disk, rest, target);
}

static int describe_space(const char *path, struct statvfs *space) {
    disk *disk;
    const char *rest;
    memset(space, 0, sizeof *space);
    space->f_bsize = space->f_frsize = BLOCK_BYTES;
    space->f_namemax = 255;
    space->f_blocks = space->f_bavail = space->f_bfree = 1 << 28;
    if (strcmp(path, "/") != 0 && split(path, &disk, &rest) && disk->capacity > 0) {
        size_t used = disk_used(disk);
        space->f_blocks = disk->capacity / BLOCK_BYTES;
        space->f_bavail = space->f_bfree =
            used < disk->capacity ? (disk->capacity - used) / BLOCK_BYTES : 0;
    }
    return 0;
}

static int change_mode(const char *path, mode_t mode, struct fuse_file_info *info) {
    (void)path, (void)mode, (void)info;
    return 0;
}

static int change_owner(const char *path, uid_t user, gid_t group, struct fuse_file_info *info) {
    (void)path, (void)user, (void)group, (void)info;
    return 0;
}

static int change_times(const char *path, const struct timespec times[2],
                        struct fuse_file_info *info) {
    (void)path, (void)times, (void)info;
    return 0;
}

// MARK: Life

/// Whatever still uses the mount: it was in memory alone.
static void end(int signal) {
    (void)signal;
    umount2(mount_point, MNT_DETACH);
    _exit(0);
}

/// A test that crashed leaves neither mount nor process behind.
static void *end_with_parent(void *parent) {
    while (getppid() == (pid_t)(intptr_t)parent) usleep(200 * 1000);
    end(SIGTERM);
    return NULL;
}

static void *begin(struct fuse_conn_info *connection, struct fuse_config *configuration) {
    (void)connection;
    // Nothing is remembered between calls: a crash changes it all behind the kernel's back.
    configuration->entry_timeout = 0;
    configuration->negative_timeout = 0;
    configuration->attr_timeout = 0;
    configuration->direct_io = 1;
    configuration->hard_remove = 1;
    configuration->nullpath_ok = 1;
    pthread_t watcher;
    pthread_create(&watcher, NULL, end_with_parent, (void *)(intptr_t)getppid());
    return NULL;
}

static const struct fuse_operations operations = {
    .init = begin,
    .getattr = get_attributes,
    .opendir = open_directory,
    .readdir = read_directory,
    .releasedir = release,
    .open = open_file,
    .create = create,
    .release = release,
    .read = read_file,
    .write = write_file,
    .truncate = resize,
    .fallocate = allocate,
    .fsync = sync_file,
    .fsyncdir = sync_directory,
    .mkdir = make_directory,
    .rmdir = remove_directory,
    .unlink = unlink_file,
    .rename = rename_file,
    .statfs = describe_space,
    .chmod = change_mode,
    .chown = change_owner,
    .utimens = change_times,
};

int main(int count, char **arguments) {
    if (count != 2) {
        fputs("usage: powerlossfs MOUNTPOINT\n", stderr);
        return 2;
    }
    mount_point = arguments[1];
    // libfuse leaves a handler alone that is there already. Its own only interrupts the thread that
    // serves, and any thread may be the one that takes the signal.
    signal(SIGTERM, end);
    // Threads that start programs may have signals blocked, which is inherited.
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    char *options[] = {arguments[0], "-f", "-s", "-ofsname=powerlossfs", arguments[1], NULL};
    return fuse_main(5, options, &operations, NULL);
}
