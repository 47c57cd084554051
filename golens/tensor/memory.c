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

static int64_t of_the_machine(const char *root, int swap) {
    char path[PATH_MAX], text[4096];
    snprintf(path, sizeof path, "%s/proc/meminfo", root);
    if (!text_of(path, text, sizeof text))
        return INT64_MAX;
    int64_t free = number_behind(text, "MemAvailable"), more = number_behind(text, "SwapFree");
    if (free < 0)
        return INT64_MAX;
    return (free + (swap && more > 0 ? more : 0)) * 1024;
}

/* What the two versions of control groups call things. */
typedef struct {
    const char *folder, *limit, *used, *cached[2];
} dialect;

static const dialect first = {"/sys/fs/cgroup/memory",
                              "memory.limit_in_bytes",
                              "memory.usage_in_bytes",
                              {"total_inactive_file", "total_active_file"}};
static const dialect second = {
    "/sys/fs/cgroup", "memory.max", "memory.current", {"inactive_file", "active_file"}};

/* What one group leaves: its limit, less what is used and could not be dropped. */
static int64_t of_group(const char *root, const dialect *d, const char *group) {
    char path[PATH_MAX], text[8192];
    snprintf(path, sizeof path, "%s%s%s/%s", root, d->folder, group, d->limit);
    if (!text_of(path, text, sizeof text) || text[0] == 'm') /* "max" */
        return INT64_MAX;
    int64_t left = strtoll(text, NULL, 10);
    snprintf(path, sizeof path, "%s%s%s/%s", root, d->folder, group, d->used);
    if (!text_of(path, text, sizeof text))
        return INT64_MAX;
    left -= strtoll(text, NULL, 10);
    snprintf(path, sizeof path, "%s%s%s/memory.stat", root, d->folder, group);
    for (int i = 0; i < 2 && text_of(path, text, sizeof text); i++) {
        int64_t cached = number_behind(text, d->cached[i]);
        left += cached > 0 ? cached : 0;
    }
    return left > 0 ? left : 0;
}

/* What a group and all above it leave. In a container the path may not lead anywhere, and the root
 * be the group itself. */
static int64_t of_groups(const char *root, const dialect *d, char *group) {
    int64_t left = INT64_MAX;
    for (char *slash; (slash = strrchr(group, '/')); *slash = 0)
        if (slash[1])
            left = least(left, of_group(root, d, group));
    return least(left, of_group(root, d, ""));
}

static int64_t of_control_groups(const char *root) {
    char path[PATH_MAX], text[4096];
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    if (!text_of(path, text, sizeof text))
        return INT64_MAX;
    int64_t left = INT64_MAX;
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));) { /* NUMBER:CONTROLLERS:PATH */
        char *names = strchr(line, ':'), *group = names ? strchr(names + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = 0;
        if (!names[1])
            left = least(left, of_groups(root, &second, group));
        else if (strstr(names, "memory"))
            left = least(left, of_groups(root, &first, group));
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

int64_t tlg_memory_free_under(const char *root, int swap) {
    return least(of_the_machine(root, swap), least(of_control_groups(root), of_address_space()));
}

int64_t tlg_memory_free(int swap) {
    return tlg_memory_free_under("", swap);
}
