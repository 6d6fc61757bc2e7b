/// Disks that forget what was not synced. Nothing here knows of FUSE.
///
/// Each file has bytes that a power loss leaves and bytes that only the running system sees, sector by
/// sector. Each disk has the names that a power loss leaves and the changes made to them since. At a
/// crash every unsynced sector, size and change of names survives or not, each by itself: torn and
/// reordered as real disks do it. The same rules as Tests/Simulation/SimulatedDisk; one contract suite
/// holds both to them.
#ifndef POWERLOSS_DISK_H
#define POWERLOSS_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SECTOR_BYTES = 512, BLOCK_BYTES = 4096 };

typedef struct file {
    bool is_directory;
    /// Names, durable names, changes of names and open descriptors.
    int references;
    /// As the running system sees it. Zeros from `size` to the buffer's end.
    unsigned char *now;
    size_t now_capacity, size;
    /// What a power loss leaves at least.
    unsigned char *durable;
    size_t durable_capacity, durable_size;
    /// Of `durable`, so many bytes are still part of the file: it may have been cut and grown.
    size_t durable_limit;
    /// One byte a sector: see `sector_state`.
    unsigned char *sectors;
    size_t sector_count;
    /// Where this file was copied to, while a disk is being copied.
    struct file *copy;
} file;

enum sector_state {
    SECTOR_CLEAN = 0,
    SECTOR_UNSYNCED,
    /// Given up by a failed sync: seen until the power goes, and never written.
    SECTOR_LOST
};

typedef struct name {
    /// Relative to the disk, without a slash in front.
    char *path;
    file *file;
} name;

typedef struct names {
    name *items;
    size_t count, capacity;
} names;

enum change_kind { CHANGE_LINK, CHANGE_UNLINK, CHANGE_RENAME };

typedef struct change {
    enum change_kind kind;
    /// NULL but for a rename.
    char *from;
    char *path;
    file *file;
} change;

enum rule_action {
    /// The sync answers as if it had happened.
    RULE_IGNORE,
    /// The call fails, once.
    RULE_FAIL,
    /// The call takes so long.
    RULE_STALL
};

/// What a call is, and what it would make durable.
enum call_kind {
    CALL_WRITE,
    /// The sync of a file with unsynced bytes.
    CALL_SYNC_FILE,
    /// The sync of a file that was cut.
    CALL_SYNC_CUT,
    /// The sync of a directory in which a name was made, removed, or replaced by a rename.
    CALL_SYNC_LINK,
    CALL_SYNC_UNLINK,
    CALL_SYNC_RENAME,
    CALL_KINDS
};

typedef struct rule {
    enum rule_action action;
    enum call_kind kind;
    /// As fnmatch(3) has it, over the path that was written, synced or changed.
    char *pattern;
    int milliseconds;
    struct rule *next;
} rule;

typedef struct disk {
    char *label;
    names now, durable;
    /// Since the last sync of the directory that holds the name, oldest first.
    change *changes;
    size_t change_count, change_capacity;
    rule *rules;
    /// Calls that change something, and how many of them were syncs.
    long calls, syncs;
    /// How many syncs were ignored.
    long ignored;
    /// Syncs until one is ignored; 0: none is.
    long skip;
    /// Calls until the power is off; −1: it stays on.
    long calls_left;
    bool is_off;
    /// All files together may have so many bytes; 0: no limit.
    size_t capacity;
    struct disk *next;
} disk;

disk *disk_find(const char *label);
disk *disk_make(const char *label);
void disk_drop(disk *disk);
/// An independent disk in the same state, without faults.
void disk_copy(const disk *from, disk *to);
void disk_labels(void (*each)(const char *label, void *context), void *context);

/// What is left when the power comes back. `seed` 0: nothing that was not synced.
void disk_crash(disk *disk, uint64_t seed);

void disk_add_rule(disk *disk, enum rule_action action, enum call_kind kind, const char *pattern,
                   int milliseconds);
void disk_clear_rules(disk *disk);
/// Called once at the beginning of each call that changes something; a negative errno fails it.
int disk_begin_call(disk *disk);

/// The file or directory of that name; "" is the disk's own directory and has none.
file *disk_look(const disk *disk, const char *path);
bool disk_is_directory(const disk *disk, const char *path);
void disk_list(const disk *disk, const char *directory,
               void (*each)(const char *name, const file *file, void *context), void *context);
size_t disk_used(const disk *disk);

/// Each a negative errno, or what the system call answers.
int disk_create(disk *disk, const char *path, bool is_directory, file **made);
int disk_unlink(disk *disk, const char *path, bool is_directory);
int disk_rename(disk *disk, const char *from, const char *to);
long disk_write(disk *disk, const char *path, file *file, const void *bytes, size_t count,
                size_t offset);
int disk_resize(disk *disk, file *file, size_t size);
int disk_sync_file(disk *disk, const char *path, file *file);
int disk_sync_directory(disk *disk, const char *directory);

size_t file_read(const file *file, void *bytes, size_t count, size_t offset);
void file_retain(file *file);
void file_release(file *file);

#endif
