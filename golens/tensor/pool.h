/* The pool: memory for tensors that come and go. */
#ifndef TLG_POOL_H
#define TLG_POOL_H
#include <stdint.h>

typedef struct tlg_extent tlg_extent;

/* Uninitialised memory of at least that many bytes, 64-byte aligned; NULL when there is none. */
tlg_extent *tlg_pool_take(int64_t bytes);
void *tlg_pool_data(const tlg_extent *e);
/* Gives it back. Waits for nothing but the pool's lock, and never for the system. */
void tlg_pool_give(tlg_extent *e);

/* Bytes that the pool has from the system and nobody uses. */
int64_t tlg_pool_resting(void);
/* Gives all of them back to the system, as far as whole pages of them lie together. */
void tlg_pool_trim(void);

/* Bytes that the system would still give this process: what is free or could be freed, swap
 * included if asked for, within the limits of its control groups and its address space. INT64_MAX
 * where it does not say. */
int64_t tlg_memory_free(int swap);
/* The same of a system whose /proc and /sys lie in another folder. */
int64_t tlg_memory_free_under(const char *root, int swap);
#endif
