#include "disk.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static disk *disks;

static void *checked(void *memory) {
    if (memory == NULL) {
        fputs("powerlossfs: no memory\n", stderr);
        abort();
    }
    return memory;
}

static char *text_copy(const char *text) { return text ? checked(strdup(text)) : NULL; }

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }
static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/// SplitMix64.
static uint64_t next_random(uint64_t *state) {
    uint64_t mixed = *state += 0x9E3779B97F4A7C15;
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
    return mixed ^ (mixed >> 31);
}

// MARK: Files

static file *file_make(bool is_directory) {
    file *made = checked(calloc(1, sizeof *made));
    made->is_directory = is_directory;
    return made;
}

void file_retain(file *file) {
    if (file) file->references++;
}

void file_release(file *file) {
    if (file == NULL || --file->references > 0) return;
    free(file->now);
    free(file->durable);
    free(file->sectors);
    free(file);
}

static void grow(unsigned char **buffer, size_t *capacity, size_t needed) {
    if (needed <= *capacity) return;
    size_t larger_capacity = larger(needed, *capacity + *capacity / 2);
    *buffer = checked(realloc(*buffer, larger_capacity));
    memset(*buffer + *capacity, 0, larger_capacity - *capacity);
    *capacity = larger_capacity;
}

static void mark(file *file, size_t sector) {
    grow(&file->sectors, &file->sector_count, sector + 1);
    file->sectors[sector] = SECTOR_UNSYNCED;
}

size_t file_read(const file *file, void *bytes, size_t count, size_t offset) {
    if (offset >= file->size) return 0;
    size_t available = smaller(count, file->size - offset);
    memcpy(bytes, file->now + offset, available);
    return available;
}

static void file_write(file *file, const void *bytes, size_t count, size_t offset) {
    if (count == 0) return;
    grow(&file->now, &file->now_capacity, offset + count);
    memcpy(file->now + offset, bytes, count);
    for (size_t sector = offset / SECTOR_BYTES; sector <= (offset + count - 1) / SECTOR_BYTES;
         sector++)
        mark(file, sector);
    file->size = larger(file->size, offset + count);
}

static void file_resize(file *file, size_t size) {
    if (size < file->size) {
        memset(file->now + size, 0, file->size - size);
        size_t first = (size + SECTOR_BYTES - 1) / SECTOR_BYTES;
        if (size % SECTOR_BYTES != 0) mark(file, size / SECTOR_BYTES);
        if (first < file->sector_count)
            memset(file->sectors + first, SECTOR_CLEAN, file->sector_count - first);
        file->durable_limit = smaller(file->durable_limit, size);
    } else {
        grow(&file->now, &file->now_capacity, size);
    }
    file->size = size;
}

/// Makes the durable bytes this long, with the sectors in them that `survives` names.
static void settle(file *file, size_t size, const bool *survives) {
    size_t known = smaller(file->durable_limit, smaller(file->durable_size, size));
    grow(&file->durable, &file->durable_capacity, size);
    if (known < file->durable_capacity)
        memset(file->durable + known, 0, file->durable_capacity - known);
    file->durable_size = size;
    file->durable_limit = size;
    for (size_t sector = 0; sector < file->sector_count; sector++) {
        size_t start = sector * SECTOR_BYTES;
        if (!survives[sector] || start >= size) continue;
        memcpy(file->durable + start, file->now + start,
               smaller(smaller(SECTOR_BYTES, size - start), file->now_capacity - start));
    }
}

static void file_sync(file *file) {
    bool *survives = checked(calloc(file->sector_count + 1, sizeof *survives));
    for (size_t sector = 0; sector < file->sector_count; sector++)
        survives[sector] = file->sectors[sector] == SECTOR_UNSYNCED;
    settle(file, file->size, survives);
    for (size_t sector = 0; sector < file->sector_count; sector++)
        if (survives[sector]) file->sectors[sector] = SECTOR_CLEAN;
    free(survives);
}

/// The system drops what it could not write, and a second sync will not say so.
static void file_fail_sync(file *file) {
    for (size_t sector = 0; sector < file->sector_count; sector++)
        if (file->sectors[sector] == SECTOR_UNSYNCED) file->sectors[sector] = SECTOR_LOST;
}

static void file_crash(file *file, uint64_t *random) {
    bool *survives = checked(calloc(file->sector_count + 1, sizeof *survives));
    size_t size = file->durable_size;
    if (random) {
        for (size_t sector = 0; sector < file->sector_count; sector++)
            if (file->sectors[sector] == SECTOR_UNSYNCED)
                survives[sector] = next_random(random) & 1;
        size_t low = smaller(file->durable_size, file->size);
        size_t high = larger(file->durable_size, file->size);
        switch (next_random(random) % 3) {
        case 0: break;
        case 1: size = file->size; break;
        default: size = low + next_random(random) % (high - low + 1);
        }
    }
    // Cut bytes are gone only where the cut itself survives.
    if (size > file->size)
        file->durable_limit =
            larger(file->durable_limit, smaller(file->durable_size, size));
    settle(file, size, survives);
    free(survives);
    grow(&file->now, &file->now_capacity, size);
    memset(file->now, 0, file->now_capacity);
    if (size > 0) memcpy(file->now, file->durable, size);
    file->size = size;
    if (file->sectors) memset(file->sectors, SECTOR_CLEAN, file->sector_count);
}

static file *file_copy(file *from) {
    if (from == NULL || from->copy) return from ? from->copy : NULL;
    file *made = file_make(from->is_directory);
    made->size = from->size;
    made->durable_size = from->durable_size;
    made->durable_limit = from->durable_limit;
    grow(&made->now, &made->now_capacity, from->size);
    if (from->size > 0) memcpy(made->now, from->now, from->size);
    grow(&made->durable, &made->durable_capacity, from->durable_size);
    if (from->durable_size > 0) memcpy(made->durable, from->durable, from->durable_size);
    grow(&made->sectors, &made->sector_count, from->sector_count);
    if (from->sector_count > 0) memcpy(made->sectors, from->sectors, from->sector_count);
    return from->copy = made;
}

// MARK: Names

static name *names_find(const names *names, const char *path) {
    for (size_t index = 0; index < names->count; index++)
        if (strcmp(names->items[index].path, path) == 0) return &names->items[index];
    return NULL;
}

static void names_remove(names *names, const char *path) {
    name *found = names_find(names, path);
    if (found == NULL) return;
    free(found->path);
    file_release(found->file);
    *found = names->items[--names->count];
}

static void names_set(names *names, const char *path, file *file) {
    file_retain(file);
    name *found = names_find(names, path);
    if (found) {
        file_release(found->file);
        found->file = file;
        return;
    }
    if (names->count == names->capacity) {
        names->capacity = names->capacity * 2 + 8;
        names->items = checked(realloc(names->items, names->capacity * sizeof *names->items));
    }
    names->items[names->count++] = (name){text_copy(path), file};
}

static void names_clear(names *names) {
    while (names->count > 0) names_remove(names, names->items[names->count - 1].path);
    free(names->items);
    *names = (struct names){0};
}

static void names_copy(const names *from, names *to) {
    for (size_t index = 0; index < from->count; index++)
        names_set(to, from->items[index].path, from->items[index].file);
}

static void names_apply(names *names, const change *change) {
    switch (change->kind) {
    case CHANGE_LINK: names_set(names, change->path, change->file); break;
    case CHANGE_UNLINK: names_remove(names, change->path); break;
    case CHANGE_RENAME:
        names_remove(names, change->from);
        names_set(names, change->path, change->file);
        break;
    }
}

static void change_free(change *change) {
    free(change->from);
    free(change->path);
    file_release(change->file);
}

static void add_change(disk *disk, enum change_kind kind, const char *from, const char *path,
                       file *file) {
    if (disk->change_count == disk->change_capacity) {
        disk->change_capacity = disk->change_capacity * 2 + 8;
        disk->changes =
            checked(realloc(disk->changes, disk->change_capacity * sizeof *disk->changes));
    }
    file_retain(file);
    disk->changes[disk->change_count++] =
        (change){kind, text_copy(from), text_copy(path), file};
}

static void make_change(disk *disk, enum change_kind kind, const char *from, const char *path,
                        file *file) {
    add_change(disk, kind, from, path, file);
    names_apply(&disk->now, &disk->changes[disk->change_count - 1]);
}

static bool is_in(const char *directory, const char *path) {
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    return strlen(directory) == length && strncmp(directory, path, length) == 0;
}

static bool has_parent(const names *names, const char *path) {
    const char *slash = strrchr(path, '/');
    if (slash == NULL) return true;
    char *parent = checked(strndup(path, (size_t)(slash - path)));
    name *found = names_find(names, parent);
    free(parent);
    return found && found->file->is_directory;
}

// MARK: Disks

disk *disk_find(const char *label) {
    for (disk *disk = disks; disk; disk = disk->next)
        if (strcmp(disk->label, label) == 0) return disk;
    return NULL;
}

disk *disk_make(const char *label) {
    disk *made = checked(calloc(1, sizeof *made));
    made->label = text_copy(label);
    made->calls_left = -1;
    made->next = disks;
    return disks = made;
}

void disk_labels(void (*each)(const char *label, void *context), void *context) {
    for (disk *disk = disks; disk; disk = disk->next) each(disk->label, context);
}

static void clear_changes(disk *disk) {
    for (size_t index = 0; index < disk->change_count; index++)
        change_free(&disk->changes[index]);
    disk->change_count = 0;
}

void disk_drop(disk *dropped) {
    for (disk **link = &disks; *link; link = &(*link)->next) {
        if (*link != dropped) continue;
        *link = dropped->next;
        break;
    }
    names_clear(&dropped->now);
    names_clear(&dropped->durable);
    clear_changes(dropped);
    free(dropped->changes);
    disk_clear_rules(dropped);
    free(dropped->label);
    free(dropped);
}

static void for_each_file(const disk *disk, void (*each)(file *)) {
    for (size_t index = 0; index < disk->now.count; index++) each(disk->now.items[index].file);
    for (size_t index = 0; index < disk->durable.count; index++)
        each(disk->durable.items[index].file);
    for (size_t index = 0; index < disk->change_count; index++)
        if (disk->changes[index].file) each(disk->changes[index].file);
}

static void copy_file(file *file) { (void)file_copy(file); }
static void forget_copy(file *file) { file->copy = NULL; }

void disk_copy(const disk *from, disk *to) {
    for_each_file(from, copy_file);
    for (size_t index = 0; index < from->now.count; index++)
        names_set(&to->now, from->now.items[index].path, from->now.items[index].file->copy);
    for (size_t index = 0; index < from->durable.count; index++)
        names_set(&to->durable, from->durable.items[index].path,
                  from->durable.items[index].file->copy);
    for (size_t index = 0; index < from->change_count; index++) {
        const change *change = &from->changes[index];
        add_change(to, change->kind, change->from, change->path,
                   change->file ? change->file->copy : NULL);
    }
    for_each_file(from, forget_copy);
}

static int by_path(const void *left, const void *right) {
    return strcmp(((const name *)left)->path, ((const name *)right)->path);
}

void disk_crash(disk *disk, uint64_t seed) {
    uint64_t state = seed;
    uint64_t *random = seed ? &state : NULL;
    for (size_t index = 0; index < disk->change_count; index++)
        if (random && next_random(random) & 1)
            names_apply(&disk->durable, &disk->changes[index]);
    clear_changes(disk);
    // A name survives only with the directories above it; parents sort before what is in them.
    if (disk->durable.count > 0)
        qsort(disk->durable.items, disk->durable.count, sizeof(name), by_path);
    struct names left = {0};
    for (size_t index = 0; index < disk->durable.count; index++)
        if (has_parent(&left, disk->durable.items[index].path))
            names_set(&left, disk->durable.items[index].path, disk->durable.items[index].file);
    names_clear(&disk->durable);
    disk->durable = left;
    for (size_t index = 0; index < left.count; index++)
        if (!left.items[index].file->is_directory) file_crash(left.items[index].file, random);
    names_clear(&disk->now);
    names_copy(&disk->durable, &disk->now);
    disk_clear_rules(disk);
    disk->skip = 0;
    disk->calls_left = -1;
    disk->is_off = false;
    disk->capacity = 0;
}

// MARK: Faults

void disk_add_rule(disk *disk, enum rule_action action, enum call_kind kind, const char *pattern,
                   int milliseconds) {
    rule *made = checked(calloc(1, sizeof *made));
    *made = (rule){action, kind, text_copy(pattern), milliseconds, disk->rules};
    disk->rules = made;
}

void disk_clear_rules(disk *disk) {
    while (disk->rules) {
        rule *rule = disk->rules;
        disk->rules = rule->next;
        free(rule->pattern);
        free(rule);
    }
}

int disk_begin_call(disk *disk) {
    if (disk->calls_left == 0) disk->is_off = true;
    if (disk->is_off) return -EIO;
    if (disk->calls_left > 0) disk->calls_left--;
    disk->calls++;
    return 0;
}

/// What the rules make of a call. A failing rule is used up.
struct verdict {
    bool is_ignored, is_failed;
};

static void judge(disk *disk, enum call_kind kind, const char *path, struct verdict *verdict) {
    for (rule **link = &disk->rules; *link;) {
        rule *rule = *link;
        if (rule->kind != kind || fnmatch(rule->pattern, path, 0) != 0) {
            link = &rule->next;
            continue;
        }
        switch (rule->action) {
        case RULE_IGNORE: verdict->is_ignored = true; break;
        case RULE_STALL: usleep((useconds_t)rule->milliseconds * 1000); break;
        case RULE_FAIL:
            verdict->is_failed = true;
            *link = rule->next;
            free(rule->pattern);
            free(rule);
            continue;
        }
        link = &rule->next;
    }
}

static bool takes_sync(disk *disk, const struct verdict *verdict) {
    disk->syncs++;
    bool is_skipped = disk->skip > 0 && --disk->skip == 0;
    if (!is_skipped && !verdict->is_ignored) return true;
    disk->ignored++;
    return false;
}

// MARK: Calls

file *disk_look(const disk *disk, const char *path) {
    name *found = names_find(&disk->now, path);
    return found ? found->file : NULL;
}

bool disk_is_directory(const disk *disk, const char *path) {
    file *found = disk_look(disk, path);
    return *path == 0 || (found && found->is_directory);
}

void disk_list(const disk *disk, const char *directory,
               void (*each)(const char *name, const file *file, void *context), void *context) {
    for (size_t index = 0; index < disk->now.count; index++) {
        const name *name = &disk->now.items[index];
        if (!is_in(directory, name->path)) continue;
        const char *slash = strrchr(name->path, '/');
        each(slash ? slash + 1 : name->path, name->file, context);
    }
}

size_t disk_used(const disk *disk) {
    size_t used = 0;
    for (size_t index = 0; index < disk->now.count; index++) {
        size_t blocks = (disk->now.items[index].file->size + BLOCK_BYTES - 1) / BLOCK_BYTES;
        used += blocks * BLOCK_BYTES;
    }
    return used;
}

/// How far the file may grow.
static size_t size_limit(const disk *disk, const file *file) {
    if (disk->capacity == 0) return SIZE_MAX;
    size_t used = disk_used(disk);
    size_t own = (file->size + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
    return own + (used < disk->capacity ? disk->capacity - used : 0) / BLOCK_BYTES * BLOCK_BYTES;
}

int disk_create(disk *disk, const char *path, bool is_directory, file **made) {
    if (!has_parent(&disk->now, path)) return -ENOENT;
    if (disk_look(disk, path)) return -EEXIST;
    file *file = file_make(is_directory);
    make_change(disk, CHANGE_LINK, NULL, path, file);
    if (made) *made = file;
    return 0;
}

static void count(const char *name, const file *file, void *context) {
    (void)name;
    (void)file;
    ++*(int *)context;
}

int disk_unlink(disk *disk, const char *path, bool is_directory) {
    file *found = disk_look(disk, path);
    if (found == NULL) return -ENOENT;
    if (found->is_directory != is_directory) return is_directory ? -ENOTDIR : -EISDIR;
    int children = 0;
    if (is_directory) disk_list(disk, path, count, &children);
    if (children > 0) return -ENOTEMPTY;
    make_change(disk, CHANGE_UNLINK, NULL, path, NULL);
    return 0;
}

int disk_rename(disk *disk, const char *from, const char *to) {
    file *found = disk_look(disk, from);
    if (found == NULL) return -ENOENT;
    // What a power loss leaves of these is nothing that a test here needs to know.
    const char *slash = strrchr(from, '/');
    char *parent = checked(strndup(from, slash ? (size_t)(slash - from) : 0));
    bool stays = is_in(parent, to);
    free(parent);
    if (!stays || found->is_directory || disk_is_directory(disk, to)) return -EXDEV;
    if (strcmp(from, to) != 0) make_change(disk, CHANGE_RENAME, from, to, found);
    return 0;
}

long disk_write(disk *disk, const char *path, file *file, const void *bytes, size_t count,
                size_t offset) {
    struct verdict verdict = {0};
    judge(disk, CALL_WRITE, path, &verdict);
    if (verdict.is_failed) return -EIO;
    size_t limit = larger(size_limit(disk, file), file->size);
    if (count > 0 && offset >= limit) return -ENOSPC;
    size_t written = smaller(count, limit - offset);
    file_write(file, bytes, written, offset);
    return (long)written;
}

int disk_resize(disk *disk, file *file, size_t size) {
    if (size > file->size && size > size_limit(disk, file)) return -ENOSPC;
    file_resize(file, size);
    return 0;
}

int disk_sync_file(disk *disk, const char *path, file *file) {
    struct verdict verdict = {0};
    if (file->durable_limit < file->durable_size)
        judge(disk, CALL_SYNC_CUT, path, &verdict);
    else
        judge(disk, CALL_SYNC_FILE, path, &verdict);
    if (verdict.is_failed) {
        file_fail_sync(file);
        return -EIO;
    }
    if (takes_sync(disk, &verdict)) file_sync(file);
    return 0;
}

int disk_sync_directory(disk *disk, const char *directory) {
    static const enum call_kind kinds[] = {CALL_SYNC_LINK, CALL_SYNC_UNLINK, CALL_SYNC_RENAME};
    if (!disk_is_directory(disk, directory)) return -ENOENT;
    struct verdict verdict = {0};
    for (size_t index = 0; index < disk->change_count; index++)
        if (is_in(directory, disk->changes[index].path))
            judge(disk, kinds[disk->changes[index].kind], disk->changes[index].path, &verdict);
    if (verdict.is_failed) return -EIO;
    if (!takes_sync(disk, &verdict)) return 0;
    size_t left = 0;
    for (size_t index = 0; index < disk->change_count; index++) {
        change change = disk->changes[index];
        if (is_in(directory, change.path)) {
            names_apply(&disk->durable, &change);
            change_free(&change);
        } else {
            disk->changes[left++] = change;
        }
    }
    disk->change_count = left;
    return 0;
}
