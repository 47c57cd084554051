// How many threads there are, and loops whose steps they share out among themselves. The threads
// are in pool.c.
#include "cpu.h"

#include <stdatomic.h>
#ifdef __linux__
#include <sched.h>
#endif
#include <unistd.h>

#define MAX_THREADS 256

static atomic_int threads; // 0: not yet decided

static int count_cpus(void) {
#ifdef __linux__
    cpu_set_t set;
    if (!sched_getaffinity(0, sizeof set, &set) && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set);
#endif
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
}

int tlg_threads(void) {
    int n = atomic_load_explicit(&threads, memory_order_relaxed);
    if (n)
        return n;
    n = count_cpus();
    const char *s = getenv("OMP_NUM_THREADS");
    int asked = s ? atoi(s) : 0;
    if (asked > 0 && asked < n)
        n = asked;
    tlg_set_threads(n);
    return atomic_load(&threads);
}

void tlg_set_threads(int n) {
    atomic_store(&threads, n < 1 ? 1 : n > MAX_THREADS ? MAX_THREADS : n);
}

// ---- loops --------------------------------------------------------------------------------------

typedef struct {
    atomic_long next;
    long units;
    tlg_unit fn;
    void *ctx;
} loop;

static void run_loop(void *p) {
    loop *l = p;
    for (long i; (i = atomic_fetch_add_explicit(&l->next, 1, memory_order_relaxed)) < l->units;)
        l->fn(l->ctx, i);
}

// Waking a thread costs a few microseconds: less work than this a thread is not worth one.
#define NS_PER_THREAD 8000.0

void tlg_for(long units, double work, tlg_unit fn, void *ctx) {
    long n = tlg_min(tlg_threads(), units);
    if (work < n * NS_PER_THREAD)
        n = tlg_max(1, (long)(work / NS_PER_THREAD));
    if (n <= 1) {
        for (long i = 0; i < units; i++)
            fn(ctx, i);
        return;
    }
    loop l = {.units = units, .fn = fn, .ctx = ctx};
    tlg_parallel(run_loop, &l, (int)n);
}
