/* mountcalls: what one process gets out of a mounted directory, call by call.
 *
 *   mountcalls DIRECTORY SECONDS
 *
 * Closed loops, one after another, each for SECONDS; a line each: name, calls a second, median and
 * 99th percentile in microseconds. The directory must be empty and writable. Exit status 1 with the
 * reason when a call fails.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char path[4096], other[4096];
static const char value[] = "a value of about forty bytes, as config is\n";

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void must(int ok, const char *what)
{
    if (ok) return;
    fprintf(stderr, "mountcalls: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void call_stat(void) { struct stat st; must(stat(path, &st) == 0, "stat"); }

static void call_missing(void)
{
    struct stat st;
    must(stat(other, &st) != 0 && errno == ENOENT, "stat of a missing name");
}

static void call_read(void)
{
    char buffer[4096];
    int fd = open(path, O_RDONLY);
    must(fd >= 0 && read(fd, buffer, sizeof buffer) == (ssize_t)sizeof value - 1, "read");
    close(fd);
}

static void call_overwrite(void)
{
    int fd = open(path, O_WRONLY | O_TRUNC);
    must(fd >= 0 && write(fd, value, sizeof value - 1) == (ssize_t)sizeof value - 1, "overwrite");
    must(close(fd) == 0, "close");
}

static void call_create(void)
{
    int fd = open(other, O_WRONLY | O_CREAT | O_EXCL, 0644);
    must(fd >= 0 && close(fd) == 0 && unlink(other) == 0, "create and unlink");
}

static void call_mkdir(void) { must(mkdir(other, 0755) == 0 && rmdir(other) == 0, "mkdir and rmdir"); }

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void measure(const char *name, void (*call)(void), double seconds)
{
    enum { MAX = 4000000 };
    static uint32_t times[MAX];
    size_t count = 0;
    uint64_t start = now(), end = start + (uint64_t)(seconds * 1e9), at = start;
    while (at < end && count < MAX) {
        call();
        uint64_t after = now();
        times[count++] = (uint32_t)(after - at);
        at = after;
    }
    qsort(times, count, sizeof times[0], by_value);
    printf("%-24s %10.0f/s  p50 %8.1f us  p99 %8.1f us\n", name,
           (double)count * 1e9 / (double)(at - start), times[count / 2] / 1e3,
           times[count * 99 / 100] / 1e3);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: mountcalls DIRECTORY SECONDS\n");
        return 2;
    }
    double seconds = atof(argv[2]);
    snprintf(path, sizeof path, "%s/file", argv[1]);
    snprintf(other, sizeof other, "%s/other", argv[1]);
    int fd = open(path, O_WRONLY | O_CREAT, 0644);
    must(fd >= 0 && write(fd, value, sizeof value - 1) > 0 && close(fd) == 0, "prepare");
    measure("stat", call_stat, seconds);
    measure("stat, missing", call_missing, seconds);
    measure("open+read+close", call_read, seconds);
    measure("open+truncate+write", call_overwrite, seconds);
    measure("create+unlink", call_create, seconds);
    measure("mkdir+rmdir", call_mkdir, seconds);
    must(unlink(path) == 0, "unlink");
    return 0;
}
