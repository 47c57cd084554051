// The kernels' own threads: one pool for the process, whoever calls. libgomp's, which torch uses,
// is left alone: it keeps a pool for each thread that calls, and its threads spin for milliseconds
// at every barrier, which costs a hundredfold where other processes want the cores.
//
// A caller opens a region and works in it. Helpers join while there is room, and a caller that has
// found all work claimed closes the region and waits for those inside only: never for a helper that
// is still asleep or without a core. Several callers have regions at once, and a region may be
// opened inside another; nobody waits but for regions further inside, so there is no deadlock.
//
// All of this is in a few words that are changed atomically, so that a thread that loses its core
// at any point holds no lock that another one needs.
#include "cpu.h"
#include "wait.h"

#include <pthread.h>
#include <signal.h>

#define REGIONS 16
#define PATIENCE 1000000 // ns: longer than most units of work, and than what lies between two runs

// A region's state: how many helpers are inside, for how many there is room, whether it belongs to
// a caller, whether that caller sleeps. 0: free.
#define INSIDE 0xfffu
#define ONE_INSIDE 1u
#define ROOM 0xfff000u
#define ONE_ROOM 0x1000u
#define TAKEN 0x1000000u
#define ASLEEP 0x2000000u

typedef struct {
    _Alignas(64) atomic_uint state;
    void (*fn)(void *); // these two are set before there is room
    void *ctx;
} region;

static region regions[REGIONS];
static atomic_uint opened;  // counts regions; what idle helpers wait for
static atomic_uint asleep;  // helpers that wait for it asleep, or are about to
static atomic_uint helpers; // threads that there are

// ---- helpers ------------------------------------------------------------------------------------

// Two, who wake two more each while there is room: the caller has work of its own to do.
static void wake_helpers(void) {
    if (atomic_load(&asleep))
        tlg_wake(&opened, 2);
}

// Joins the region if there is room, and works there; whether it did.
static int join(region *r) {
    unsigned s = atomic_load_explicit(&r->state, memory_order_relaxed);
    do {
        if (!(s & ROOM))
            return 0;
    } while (!atomic_compare_exchange_weak(&r->state, &s, s - ONE_ROOM + ONE_INSIDE));
    if ((s & ROOM) != ONE_ROOM)
        wake_helpers();
    r->fn(r->ctx);
    s = atomic_fetch_sub(&r->state, ONE_INSIDE);
    if ((s & INSIDE) == ONE_INSIDE && s & ASLEEP)
        tlg_wake(&r->state, 1);
    return 1;
}

// Callers take turns: *next is where to begin.
static int join_any(unsigned *next) {
    for (unsigned i = 0; i < REGIONS; i++)
        if (join(&regions[(*next + i) % REGIONS])) {
            *next = (*next + i + 1) % REGIONS;
            return 1;
        }
    return 0;
}

static void *helper(void *unused) {
    unsigned next = 0;
    for (;;) {
        tlg_account();
        unsigned seen = atomic_load(&opened);
        if (join_any(&next) || tlg_spin(&opened, seen, PATIENCE))
            continue;
        atomic_fetch_add(&asleep, 1);
        tlg_sleep(&opened, seen);
        atomic_fetch_sub(&asleep, 1);
    }
    return unused;
}

// A forked child has none of the threads: neither helpers nor, but for the one that forked,
// callers.
static void forget(void) {
    for (int i = 0; i < REGIONS; i++)
        atomic_store(&regions[i].state, 0);
    atomic_store(&asleep, 0);
    atomic_store(&helpers, 0);
}

static void prepare_for_forks(void) { pthread_atfork(NULL, NULL, forget); }

// Helpers are never joined and end with the process. They take no signals: those belong to the host
// program.
static void need_helpers(unsigned want) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    unsigned have = atomic_load_explicit(&helpers, memory_order_relaxed);
    if (have >= want)
        return;
    pthread_once(&once, prepare_for_forks);
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    while (have < want) {
        if (!atomic_compare_exchange_weak(&helpers, &have, have + 1))
            continue; // somebody else starts this one
        pthread_t t;
        if (pthread_create(&t, NULL, helper, NULL)) {
            atomic_fetch_sub(&helpers, 1);
            break;
        }
        pthread_detach(t);
        have++;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

// ---- callers ------------------------------------------------------------------------------------

static region *take(void) {
    for (int i = 0; i < REGIONS; i++) {
        unsigned none = 0;
        if (atomic_load_explicit(&regions[i].state, memory_order_relaxed) == 0 &&
            atomic_compare_exchange_strong(&regions[i].state, &none, TAKEN))
            return &regions[i];
    }
    return NULL;
}

// Lets nobody in any more, and waits for those inside.
static void leave(region *r) {
    unsigned s = atomic_fetch_and(&r->state, ~ROOM) & ~ROOM;
    while (s & INSIDE && tlg_spin(&r->state, s, PATIENCE))
        s = atomic_load(&r->state);
    if (s & INSIDE) {
        s = atomic_fetch_or(&r->state, ASLEEP) | ASLEEP;
        for (; s & INSIDE; s = atomic_load(&r->state))
            tlg_sleep(&r->state, s);
    }
    atomic_store(&r->state, 0);
}

void tlg_parallel(void (*fn)(void *), void *ctx, int nthreads) {
    region *r = nthreads > 1 ? take() : NULL;
    if (!r) { // one thread, or as many regions open as can be: alone
        fn(ctx);
        return;
    }
    need_helpers((unsigned)nthreads - 1);
    r->fn = fn;
    r->ctx = ctx;
    atomic_fetch_add(&r->state, ((unsigned)nthreads - 1) * ONE_ROOM);
    atomic_fetch_add(&opened, 1);
    wake_helpers();
    fn(ctx);
    leave(r);
}
