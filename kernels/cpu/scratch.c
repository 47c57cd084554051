// Working memory of the kernels: a few buffers a thread, grown as needed, freed when the thread
// ends.
#include "cpu.h"

#include <pthread.h>

typedef struct {
    void *mem[TLG_SLOT_COUNT];
    size_t cap[TLG_SLOT_COUNT];
} buffers;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static __thread buffers *mine;

static void release(void *p) {
    buffers *b = p;
    for (int i = 0; i < TLG_SLOT_COUNT; i++)
        free(b->mem[i]);
    free(b);
}

static void create(void) { pthread_key_create(&key, release); }

void *tlg_scratch(int slot, size_t bytes) {
    if (!mine) {
        pthread_once(&once, create);
        mine = calloc(1, sizeof *mine);
        if (!mine)
            return NULL;
        pthread_setspecific(key, mine);
    }
    if (mine->cap[slot] < bytes) {
        size_t cap = (bytes + bytes / 4 + 4095) / 4096 * 4096;
        void *p = NULL;
        if (posix_memalign(&p, 4096, cap))
            return NULL;
        free(mine->mem[slot]);
        mine->mem[slot] = p;
        mine->cap[slot] = cap;
    }
    return mine->mem[slot];
}
