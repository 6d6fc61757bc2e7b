/* barefs: the least that a libfuse file system can be, to measure a mount against.
 *
 *   barefs MOUNTPOINT
 *
 * One directory of up to 4096 names in memory, each with up to 1 MiB of data; low-level API, one
 * thread, no caching beyond what the arguments of its replies say (attributes and names 1 s, pages
 * kept). Runs in the foreground until it is unmounted.
 */
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_FILES = 4096, MAX_BYTES = 1 << 20 };
static struct { char name[256]; mode_t mode; char *data; size_t size; } files[MAX_FILES];

static struct stat attributes(fuse_ino_t ino)
{
    struct stat st = {.st_ino = ino, .st_nlink = 1, .st_uid = getuid(), .st_gid = getgid()};
    if (ino == FUSE_ROOT_ID) {
        st.st_mode = S_IFDIR | 0755;
    } else {
        st.st_mode = files[ino].mode;
        st.st_size = (off_t)files[ino].size;
    }
    return st;
}

static fuse_ino_t find(const char *name)
{
    for (fuse_ino_t i = 2; i < MAX_FILES; i++)
        if (files[i].mode && strcmp(files[i].name, name) == 0) return i;
    return 0;
}

static struct fuse_entry_param entry(fuse_ino_t ino)
{
    struct fuse_entry_param e = {.ino = ino, .attr_timeout = 1, .entry_timeout = 1};
    e.attr = attributes(ino);
    return e;
}

static void do_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    (void)parent;
    fuse_ino_t ino = find(name);
    if (!ino) { fuse_reply_err(req, ENOENT); return; }
    struct fuse_entry_param e = entry(ino);
    fuse_reply_entry(req, &e);
}

static void do_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)fi;
    struct stat st = attributes(ino);
    fuse_reply_attr(req, &st, 1);
}

static void do_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int valid,
                       struct fuse_file_info *fi)
{
    (void)fi;
    if ((valid & FUSE_SET_ATTR_SIZE) && attr->st_size <= MAX_BYTES)
        files[ino].size = (size_t)attr->st_size;
    struct stat st = attributes(ino);
    fuse_reply_attr(req, &st, 1);
}

static fuse_ino_t make(const char *name, mode_t mode)
{
    if (find(name)) { errno = EEXIST; return 0; }
    for (fuse_ino_t i = 2; i < MAX_FILES; i++) {
        if (files[i].mode) continue;
        if (!files[i].data && !(files[i].data = malloc(MAX_BYTES))) break;
        snprintf(files[i].name, sizeof files[i].name, "%s", name);
        files[i].mode = mode;
        files[i].size = 0;
        return i;
    }
    errno = ENOSPC;
    return 0;
}

static void do_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                      struct fuse_file_info *fi)
{
    (void)parent;
    fuse_ino_t ino = make(name, S_IFREG | (mode & 07777));
    if (!ino) { fuse_reply_err(req, errno); return; }
    struct fuse_entry_param e = entry(ino);
    fuse_reply_create(req, &e, fi);
}

static void do_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    (void)parent;
    fuse_ino_t ino = make(name, S_IFDIR | (mode & 07777));
    if (!ino) { fuse_reply_err(req, errno); return; }
    struct fuse_entry_param e = entry(ino);
    fuse_reply_entry(req, &e);
}

static void do_remove(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    (void)parent;
    fuse_ino_t ino = find(name);
    if (ino) files[ino].mode = 0;
    fuse_reply_err(req, ino ? 0 : ENOENT);
}

static void do_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    fi->keep_cache = 1;
    fuse_reply_open(req, fi);
}

static void do_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                    struct fuse_file_info *fi)
{
    (void)fi;
    size_t end = files[ino].size;
    if ((size_t)offset >= end) { fuse_reply_buf(req, NULL, 0); return; }
    if (size > end - (size_t)offset) size = end - (size_t)offset;
    fuse_reply_buf(req, files[ino].data + offset, size);
}

static void do_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t offset,
                     struct fuse_file_info *fi)
{
    (void)fi;
    if ((size_t)offset + size > MAX_BYTES) { fuse_reply_err(req, EFBIG); return; }
    memcpy(files[ino].data + offset, bytes, size);
    if (files[ino].size < (size_t)offset + size) files[ino].size = (size_t)offset + size;
    fuse_reply_write(req, size);
}

int main(int argc, char **argv)
{
    static const struct fuse_lowlevel_ops operations = {
        .lookup = do_lookup, .getattr = do_getattr, .setattr = do_setattr, .create = do_create,
        .mkdir = do_mkdir, .rmdir = do_remove, .unlink = do_remove, .open = do_open,
        .read = do_read, .write = do_write,
    };
    if (argc != 2) {
        fprintf(stderr, "usage: barefs MOUNTPOINT\n");
        return 2;
    }
    char *options[] = {argv[0]};
    struct fuse_args args = FUSE_ARGS_INIT(1, options);
    struct fuse_session *session = fuse_session_new(&args, &operations, sizeof operations, NULL);
    if (!session || fuse_set_signal_handlers(session) || fuse_session_mount(session, argv[1]))
        return 1;
    int status = fuse_session_loop(session);
    fuse_session_unmount(session);
    return status ? 1 : 0;
}
