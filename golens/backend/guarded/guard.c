#define _GNU_SOURCE
#include "guard.h"

#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

static uintptr_t page(void) {
    return (uintptr_t)sysconf(_SC_PAGESIZE);
}

static uintptr_t first_page(const void *data) {
    return (uintptr_t)data & ~(page() - 1);
}

/* The pages of the data (no data have one too), and one more that stays closed. */
static size_t pages(const void *data, int64_t bytes) {
    uintptr_t end = (uintptr_t)data + (uintptr_t)(bytes ? bytes : 1);
    uintptr_t last = (end + page() - 1) & ~(page() - 1);
    return last - first_page(data) + page();
}

void *tlg_guard_new(int64_t bytes) {
    size_t rounded = ((size_t)(bytes ? bytes : 1) + 63) & ~(size_t)63;
    size_t inner = (rounded + page() - 1) & ~(page() - 1);
    char *base = mmap(NULL, inner + page(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        return NULL;
    return base + (inner - rounded);
}

static void guard_free(tlg_storage *s) {
    size_t size = pages(s->data, s->bytes);
    munmap((void *)first_page(s->data), size);
}

int tlg_guard_set(void *data, int64_t bytes, int use) {
    static const int rights[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE};
    if (bytes == 0)
        return 0;
    return mprotect((void *)first_page(data), pages(data, bytes) - page(), rights[use]);
}

const tlg_owner tlg_guarded = {guard_free, NULL, 0};
