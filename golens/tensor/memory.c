/* How much memory the system would still give this process. */
#define _GNU_SOURCE
#include "pool.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Reads the beginning of a file as text, without stdio, which takes memory; 0 when it cannot. */
static int text_of(const char *path, char *text, size_t size) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    size_t n = 0;
    for (ssize_t got; n < size - 1 && (got = read(file, text + n, size - 1 - n)) > 0;)
        n += (size_t)got;
    close(file);
    text[n] = 0;
    return n > 0;
}

/* The number behind a word that begins a line; -1 where there is none. */
static int64_t number_behind(const char *text, const char *word) {
    size_t n = strlen(word);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (!strncmp(line, word, n) && (line[n] == ' ' || line[n] == ':'))
            return strtoll(line + n + 1, NULL, 10);
    }
    return -1;
}

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t of_the_machine(int swap) {
    char text[4096];
    if (!text_of("/proc/meminfo", text, sizeof text))
        return INT64_MAX;
    int64_t free = number_behind(text, "MemAvailable"), more = number_behind(text, "SwapFree");
    if (free < 0)
        return INT64_MAX;
    return (free + (swap && more > 0 ? more : 0)) * 1024;
}

/* What the two versions of control groups call things. */
typedef struct {
    const char *root, *limit, *used, *cached;
} dialect;

static const dialect first = {"/sys/fs/cgroup/memory", "memory.limit_in_bytes",
                              "memory.usage_in_bytes", "total_inactive_file"};
static const dialect second = {"/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"};

/* What one group leaves: its limit, less what is used and could not be dropped. */
static int64_t of_group(const dialect *d, const char *group) {
    char path[PATH_MAX], text[8192];
    snprintf(path, sizeof path, "%s%s/%s", d->root, group, d->limit);
    if (!text_of(path, text, sizeof text) || text[0] == 'm') /* "max" */
        return INT64_MAX;
    int64_t limit = strtoll(text, NULL, 10);
    snprintf(path, sizeof path, "%s%s/%s", d->root, group, d->used);
    if (!text_of(path, text, sizeof text))
        return INT64_MAX;
    int64_t used = strtoll(text, NULL, 10);
    snprintf(path, sizeof path, "%s%s/memory.stat", d->root, group);
    int64_t cached = text_of(path, text, sizeof text) ? number_behind(text, d->cached) : 0;
    int64_t left = limit - used + (cached > 0 ? cached : 0);
    return left > 0 ? left : 0;
}

/* What a group and all above it leave. In a container the path may not lead anywhere, and the root
 * be the group itself. */
static int64_t of_groups(const dialect *d, char *group) {
    int64_t left = INT64_MAX;
    for (char *slash; (slash = strrchr(group, '/')); *slash = 0)
        if (slash[1])
            left = least(left, of_group(d, group));
    return least(left, of_group(d, ""));
}

static int64_t of_control_groups(void) {
    char text[4096];
    if (!text_of("/proc/self/cgroup", text, sizeof text))
        return INT64_MAX;
    int64_t left = INT64_MAX;
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));) { /* NUMBER:CONTROLLERS:PATH */
        char *names = strchr(line, ':'), *path = names ? strchr(names + 1, ':') : NULL;
        if (!path)
            continue;
        *path++ = 0;
        if (!names[1])
            left = least(left, of_groups(&second, path));
        else if (strstr(names, "memory"))
            left = least(left, of_groups(&first, path));
    }
    return left;
}

static int64_t of_address_space(void) {
    struct rlimit limit;
    char text[256];
    if (getrlimit(RLIMIT_AS, &limit) || limit.rlim_cur == RLIM_INFINITY ||
        limit.rlim_cur > (rlim_t)INT64_MAX || !text_of("/proc/self/statm", text, sizeof text))
        return INT64_MAX;
    int64_t left = (int64_t)limit.rlim_cur - strtoll(text, NULL, 10) * sysconf(_SC_PAGESIZE);
    return left > 0 ? left : 0;
}

int64_t tlg_memory_free(int swap) {
    return least(of_the_machine(swap), least(of_control_groups(), of_address_space()));
}
