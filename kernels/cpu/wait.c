// Waiting. Most waits in a run are for a few microseconds, far less than it takes to put a thread
// to sleep and to wake it, so a thread spins first. But if whoever it waits for has lost its core
// to another process, spinning takes time from everyone, the awaited thread included. So all spin
// briefly, and longer only while there seem to be cores to spare: while helpers get one for most of
// the time that they want it.
#include "wait.h"

#include "cpu.h"

#include <time.h>
#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#else
#include <pthread.h>
#endif

#define BRIEFLY 20000    // ns
#define ACCOUNT 10000000 // ns: over which helpers look at what they got
#define A_WHILE 50000000 // ns: for which what they found holds

static int64_t read_clock(clockid_t which) {
    struct timespec t;
    clock_gettime(which, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int64_t now(void) { return read_clock(CLOCK_MONOTONIC); }

// ---- cores to spare -----------------------------------------------------------------------------

static atomic_llong crowded_until; // on the clock of now()

// The time since `since`, but for sleep, is what this thread wanted; it had had ran_before till
// then.
static __thread int64_t since, ran_before;

void tlg_account(void) {
    int64_t at = now(), wanted = at - since;
    if (wanted < ACCOUNT)
        return;
    int64_t ran = read_clock(CLOCK_THREAD_CPUTIME_ID);
    if (since && ran - ran_before < wanted - wanted / 4)
        atomic_store_explicit(&crowded_until, at + A_WHILE, memory_order_relaxed);
    since = at;
    ran_before = ran;
}

static int is_crowded(int64_t at) {
    return at < atomic_load_explicit(&crowded_until, memory_order_relaxed);
}

// ---- awake --------------------------------------------------------------------------------------

static void pause_cpu(void) {
#if TLG_X86
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

int tlg_spin(atomic_uint *word, unsigned seen, int64_t patience) {
    int64_t start = 0, limit = BRIEFLY;
    for (unsigned i = 1; atomic_load_explicit(word, memory_order_acquire) == seen; i++) {
        pause_cpu();
        if (i % 16)
            continue;
        int64_t at = now();
        if (!start)
            start = at;
        if (at - start < limit)
            continue;
        if (at - start >= patience || is_crowded(at))
            return 0;
        limit = patience;
    }
    return 1;
}

// ---- asleep -------------------------------------------------------------------------------------

#ifdef __linux__
static void sleep_on(atomic_uint *word, unsigned seen) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

void tlg_wake(atomic_uint *word, int n) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
}
#else
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void sleep_on(atomic_uint *word, unsigned seen) {
    pthread_mutex_lock(&lock);
    if (atomic_load(word) == seen)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

void tlg_wake(atomic_uint *word, int n) {
    (void)word, (void)n; // one condition for all words: whoever wakes looks at its own
    pthread_mutex_lock(&lock);
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}
#endif

void tlg_sleep(atomic_uint *word, unsigned seen) {
    int64_t start = now();
    sleep_on(word, seen);
    since += now() - start;
}
