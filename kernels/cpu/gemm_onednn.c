// oneDNN's dnnl_sgemm, opened at run time: used for products of many rows, and only if it gives our
// bits on this machine, which is checked once.
#include "gemm.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>

typedef int (*sgemm)(char, char, int64_t, int64_t, int64_t, float, const float *, int64_t,
                     const float *, int64_t, float, float *, int64_t);

static _Atomic(sgemm) product;
static void (*set_threads)(int);
static int (*max_threads)(void);
static atomic_int state;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

int tlg_onednn_state(void) { return atomic_load(&state); }

const char *tlg_onednn_open(const char *path) {
    static char text[512];
    const char *err = NULL;
    pthread_mutex_lock(&lock);
    void *h = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    sgemm f = h ? (sgemm)dlsym(h, "dnnl_sgemm") : NULL;
    if (!f) {
        const char *why = dlerror();
        strncpy(text, why ? why : "no dnnl_sgemm in it", sizeof text - 1);
        err = text;
        if (h)
            dlclose(h);
    } else {
        tlg_use_gomp(h);
        set_threads = (void (*)(int))dlsym(h, "omp_set_num_threads");
        max_threads = (int (*)(void))dlsym(h, "omp_get_max_threads");
        atomic_store(&product, f);
        atomic_store(&state, TLG_ONEDNN_UNCHECKED);
    }
    pthread_mutex_unlock(&lock);
    return err;
}

// C = A * B alone, on our number of threads. libgomp keeps that number for each calling thread and
// shares it with the host program, so it is put back.
static int call(const tlg_product *g) {
    int before = max_threads ? max_threads() : 0, want = tlg_threads();
    if (set_threads && before != want)
        set_threads(want);
    int bad = atomic_load(&product)('N', g->trans ? 'T' : 'N', g->M, g->N, g->K, 1, g->A, g->lda,
                                    g->B, g->ldb, 0, g->C, g->ldc);
    if (set_threads && before > 0 && before != want)
        set_threads(before);
    return bad;
}

// ---- the check ----------------------------------------------------------------------------------

// Products small enough to take a few milliseconds in all, at every kind of K that the order along K
// distinguishes, ragged in M and N, at one thread and at all.
static int same_bits(void) {
    static const short shapes[][4] = {
        // M, N, K, transposed
        {16, 96, 64, 0},  {41, 33, 192, 0}, {16, 48, 384, 0}, {57, 40, 385, 0},  {48, 65, 576, 0},
        {41, 96, 768, 0}, {64, 17, 801, 0}, {41, 50, 1000, 0}, {17, 64, 1536, 0}, {130, 48, 3072, 0},
        {65, 96, 64, 1},  {64, 33, 192, 1}, {66, 40, 385, 1}, {64, 48, 576, 1},  {65, 96, 768, 1},
        {64, 17, 1000, 1}, {65, 48, 1536, 1}, {130, 40, 3072, 1},
    };
    enum { MOST_A = 130 * 3072, MOST_B = 96 * 3072, MOST_C = 130 * 96 };
    float *mem = malloc((MOST_A + MOST_B + 2 * MOST_C) * sizeof *mem);
    if (!mem)
        return 0;
    float *a = mem, *b = a + MOST_A, *c = b + MOST_B, *d = c + MOST_C;
    uint32_t seed = 1;
    for (long i = 0; i < MOST_A + MOST_B; i++)
        mem[i] = (float)((seed = seed * 1664525u + 1013904223u) >> 8) / (1 << 24) - .5f;
    int same = 1;
    for (size_t i = 0; same && i < sizeof shapes / sizeof *shapes; i++) {
        long M = shapes[i][0], N = shapes[i][1], K = shapes[i][2], t = shapes[i][3];
        tlg_product g = {M, N, K, a, K, b, t ? K : N, (int)t, c, N, NULL, NULL, 0};
        tlg_product own = g;
        own.C = d;
        same = call(&g) == 0 && tlg_gemm_panel(&own) == 0 && !memcmp(c, d, M * N * sizeof *c);
    }
    free(mem);
    return same;
}

static int usable(void) {
    int s = atomic_load(&state);
    if (s == TLG_ONEDNN_UNCHECKED) {
        pthread_mutex_lock(&lock);
        if (atomic_load(&state) == TLG_ONEDNN_UNCHECKED)
            atomic_store(&state, same_bits() ? TLG_ONEDNN_SAME : TLG_ONEDNN_OTHER);
        pthread_mutex_unlock(&lock);
        s = atomic_load(&state);
    }
    return s == TLG_ONEDNN_SAME;
}

// ---- bias and residual --------------------------------------------------------------------------

static void finish_row(void *p, long i) {
    const tlg_product *g = p;
    float *c = g->C + i * g->ldc;
    if (g->bias)
        tlg_add_here(g->N, c, g->bias);
    if (g->residual)
        tlg_add_here(g->N, c, g->residual + i * g->ldr);
}

int tlg_gemm_onednn(const tlg_product *g) {
    if (!usable() || call(g))
        return 1;
    if (g->bias || g->residual)
        tlg_for(g->M, (double)g->M * g->N / 4, finish_row, (void *)g);
    return 0;
}
