// Threads. One function runs a region: through libgomp's GOMP_parallel when the process has libgomp
// (oneDNN or torch brought it), because two pools side by side take each other's cores; otherwise
// on a small pool of our own. Nothing is linked: libgomp is looked for at run time.
#include "cpu.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#ifdef __linux__
#include <link.h>
#include <sched.h>
#endif
#include <signal.h>
#include <unistd.h>

#define MAX_THREADS 256
#define SPIN_WORKER 20000
#define SPIN_CALLER 20000

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

// ---- libgomp, if the process has it -------------------------------------------------------------

typedef void (*gomp_parallel)(void (*)(void *), void *, unsigned, unsigned);
static _Atomic(gomp_parallel) gomp;
static pthread_once_t gomp_once = PTHREAD_ONCE_INIT;

#ifdef __linux__
static int find_gomp(struct dl_phdr_info *info, size_t size, void *out) {
    (void)size;
    const char *base = strrchr(info->dlpi_name, '/');
    base = base ? base + 1 : info->dlpi_name;
    if (strncmp(base, "libgomp", 7))
        return 0;
    *(const char **)out = info->dlpi_name;
    return 1;
}
#endif

static void look_for_gomp(void) {
#ifdef __linux__
    const char *path = NULL;
    dl_iterate_phdr(find_gomp, &path);
    void *h = path ? dlopen(path, RTLD_LAZY | RTLD_NOLOAD) : NULL;
    if (h)
        tlg_use_gomp(h);
#endif
}

// Takes GOMP_parallel from an open library or from what that library itself needs.
void tlg_use_gomp(void *library) {
    gomp_parallel p = (gomp_parallel)dlsym(library, "GOMP_parallel");
    if (p)
        atomic_store(&gomp, p);
}

int tlg_has_gomp(void) {
    pthread_once(&gomp_once, look_for_gomp);
    return atomic_load_explicit(&gomp, memory_order_acquire) != NULL;
}

// ---- our own pool -------------------------------------------------------------------------------

// One region at a time; who finds the pool busy runs alone. A worker joins a region only while it
// is open, so a caller that has done all the work never waits for one that is still asleep.
static struct {
    pthread_mutex_t busy; // held by the caller for a whole region
    pthread_mutex_t lock; // guards what follows
    pthread_cond_t wake, done;
    void (*fn)(void *);
    void *ctx;
    int open, room, active, workers;
    atomic_uint region; // counts regions, for workers that spin
} pool = {.busy = PTHREAD_MUTEX_INITIALIZER,
          .lock = PTHREAD_MUTEX_INITIALIZER,
          .wake = PTHREAD_COND_INITIALIZER,
          .done = PTHREAD_COND_INITIALIZER};

static void pause_cpu(void) {
#if TLG_X86
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void *worker(void *unused) {
    unsigned seen = 0;
    for (;;) {
        for (int i = 0; i < SPIN_WORKER && atomic_load(&pool.region) == seen; i++)
            pause_cpu();
        pthread_mutex_lock(&pool.lock);
        while (atomic_load(&pool.region) == seen)
            pthread_cond_wait(&pool.wake, &pool.lock);
        seen = atomic_load(&pool.region);
        if (pool.open && pool.room > 0) {
            pool.room--;
            pool.active++;
            pthread_mutex_unlock(&pool.lock);
            pool.fn(pool.ctx);
            pthread_mutex_lock(&pool.lock);
            if (--pool.active == 0)
                pthread_cond_signal(&pool.done);
        }
        pthread_mutex_unlock(&pool.lock);
    }
    return unused;
}

// Called with pool.lock held. Workers take no signals: those belong to the host program.
static void grow_pool(int want) {
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    while (pool.workers < want) {
        pthread_t t;
        if (pthread_create(&t, NULL, worker, NULL))
            break;
        pthread_detach(t);
        pool.workers++;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void run_in_pool(void (*fn)(void *), void *ctx, int nthreads) {
    if (pthread_mutex_trylock(&pool.busy)) {
        fn(ctx);
        return;
    }
    pthread_mutex_lock(&pool.lock);
    if (pool.workers < nthreads - 1)
        grow_pool(nthreads - 1);
    pool.fn = fn;
    pool.ctx = ctx;
    pool.room = nthreads - 1;
    pool.open = 1;
    atomic_fetch_add(&pool.region, 1);
    pthread_cond_broadcast(&pool.wake);
    pthread_mutex_unlock(&pool.lock);

    fn(ctx);

    pthread_mutex_lock(&pool.lock);
    pool.open = 0;
    for (int i = 0; i < SPIN_CALLER && pool.active; i++) {
        pthread_mutex_unlock(&pool.lock);
        pause_cpu();
        pthread_mutex_lock(&pool.lock);
    }
    while (pool.active)
        pthread_cond_wait(&pool.done, &pool.lock);
    pthread_mutex_unlock(&pool.lock);
    pthread_mutex_unlock(&pool.busy);
}

void tlg_parallel(void (*fn)(void *), void *ctx, int nthreads) {
    if (nthreads <= 1)
        fn(ctx);
    else if (tlg_has_gomp())
        atomic_load (&gomp)(fn, ctx, (unsigned)nthreads, 0);
    else
        run_in_pool(fn, ctx, nthreads);
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
