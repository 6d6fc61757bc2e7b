// libfuse3's low-level API, and the few calls that Swift cannot make by itself: macros, functions
// with variable arguments, and a reply that libfuse 3.14 has no field for.
#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <unistd.h>

// `struct fuse_open_out` of linux/fuse.h, by hand: FOPEN_STREAM has no bit in fuse_file_info before
// libfuse 3.17.
struct zkfs_open_out {
    uint64_t handle;
    uint32_t flags;
    int32_t backing;
};

static inline int zkfs_reply_open(fuse_req_t request, uint64_t handle, uint32_t flags) {
    struct zkfs_open_out out = {handle, flags, 0};
    return fuse_reply_buf(request, (const char *)&out, sizeof out);
}

// The bit fields of fuse_file_info, from the kernel's FOPEN_ numbers.
static inline int zkfs_reply_create(
    fuse_req_t request, const struct fuse_entry_param *entry, uint64_t handle, uint32_t flags) {
    struct fuse_file_info file = {0};
    file.fh = handle;
    file.direct_io = flags & 1;
    file.keep_cache = (flags >> 1) & 1;
    file.nonseekable = (flags >> 2) & 1;
    file.cache_readdir = (flags >> 3) & 1;
    file.noflush = (flags >> 5) & 1;
    return fuse_reply_create(request, entry, &file);
}

static inline void zkfs_syslog(int priority, const char *message) {
    syslog(priority, "%s", message);
}

// Swift hides fork because a child of a process with threads can do next to nothing. The one caller
// runs before any thread exists.
static inline pid_t zkfs_fork(void) { return fork(); }

// A kernel before 5.9 has no such call; descriptors stay open there.
static inline void zkfs_close_from(unsigned first) { syscall(SYS_close_range, first, ~0U, 0U); }

static inline int zkfs_name_thread(const char *name) {
    return prctl(PR_SET_NAME, (unsigned long)name, 0, 0, 0);
}

// Neither core dumps nor /proc/PID show the memory of this process to its user.
static inline int zkfs_hide_memory(void) { return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }

static inline void zkfs_open_syslog(void) { openlog("zkfs", LOG_PID, LOG_DAEMON); }
