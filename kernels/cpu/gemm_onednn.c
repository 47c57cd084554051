// oneDNN's dnnl_sgemm, opened at run time: used for products of many rows, and only if it gives our
// bits on this machine, which is checked once. It is kept to one thread: our own threads compute
// the parts of a product, for libgomp's would spin at barriers whatever else the machine has to do.
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
        set_threads = (void (*)(int))dlsym(h, "omp_set_num_threads");
        max_threads = (int (*)(void))dlsym(h, "omp_get_max_threads");
        atomic_store(&product, f);
        atomic_store(&state, TLG_ONEDNN_UNCHECKED);
    }
    pthread_mutex_unlock(&lock);
    return err;
}

// C = A * B alone, on the calling thread. libgomp keeps its number of threads for each thread that
// calls and shares it with the host program, so it is put back.
static int call(const tlg_product *g) {
    int before = max_threads && set_threads ? max_threads() : 1;
    if (before != 1)
        set_threads(1);
    int bad = atomic_load(&product)('N', g->trans ? 'T' : 'N', g->M, g->N, g->K, 1, g->A, g->lda,
                                    g->B, g->ldb, 0, g->C, g->ldc);
    if (before != 1)
        set_threads(before);
    return bad;
}

// ---- the checks ---------------------------------------------------------------------------------

// oneDNN picks between kernels by shape and strides, and not all of them sum in our order: with B
// transposed one of them does not at M 41, N 130, K 1000, where most others do. So a few small
// shapes are compared once, and then a sample of the first result of every shape.

static int equal_rows(const float *c, long ldc, const float *d, long ldd, long rows, long n) {
    for (long i = 0; i < rows; i++)
        if (memcmp(c + i * ldc, d + i * ldd, (size_t)n * sizeof *c))
            return 0;
    return 1;
}

// Products small enough to take a few milliseconds in all, at every kind of K that the order along
// K distinguishes, ragged in M and N.
static int agrees_at_start(void) {
    static const short shapes[][3] = {
        {64, 96, 64},  {65, 33, 192}, {64, 48, 384},  {77, 40, 385},  {64, 65, 576},
        {65, 96, 768}, {64, 17, 801}, {65, 50, 1000}, {64, 64, 1536}, {130, 48, 3072},
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
        long M = shapes[i][0], N = shapes[i][1], K = shapes[i][2];
        tlg_product g = {M, N, K, a, K, TLG_F32, b, N, 0, c, N, NULL, NULL, 0};
        tlg_product own = g;
        own.C = d;
        same = call(&g) == 0 && tlg_gemm_panel(&own) == 0 && equal_rows(c, N, d, N, M, N);
    }
    free(mem);
    return same;
}

static int usable(void) {
    int s = atomic_load(&state);
    if (s == TLG_ONEDNN_UNCHECKED) {
        pthread_mutex_lock(&lock);
        if (atomic_load(&state) == TLG_ONEDNN_UNCHECKED)
            atomic_store(&state, agrees_at_start() ? TLG_ONEDNN_SAME : TLG_ONEDNN_OTHER);
        pthread_mutex_unlock(&lock);
        s = atomic_load(&state);
    }
    return s == TLG_ONEDNN_SAME;
}

// What is known of a shape: its hash with the lowest bit saying whether the bits are ours. A shape
// that was pushed out by another is checked again.
#define KNOWN 1024
static atomic_ullong known[KNOWN];

static uint64_t shape_hash(const tlg_product *g) {
    const uint64_t parts[] = {g->M, g->N, g->K, g->lda, g->ldb, g->ldc, (uint64_t)g->trans};
    uint64_t h = 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        h = (h ^ parts[i]) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    return (h | 2) & ~(uint64_t)1;
}

enum { OTHER, SAME, UNKNOWN };

static int what_is_known(const tlg_product *g) {
    uint64_t hash = shape_hash(g);
    uint64_t have = atomic_load_explicit(&known[hash % KNOWN], memory_order_relaxed);
    return (have & ~(uint64_t)1) == hash ? (int)(have & 1) : UNKNOWN;
}

static void remember(const tlg_product *g, int what) {
    uint64_t hash = shape_hash(g);
    atomic_store_explicit(&known[hash % KNOWN], hash | (uint64_t)what, memory_order_relaxed);
}

#define SAMPLE 32
// Three rows of a finished product in four places along N, against our own kernel.
static int agrees_in_sample(const tlg_product *g) {
    float own[3 * SAMPLE];
    long step = (g->M - 1) / 2, n = tlg_min(SAMPLE, g->N);
    for (int i = 0; i < 4; i++) {
        long col = (g->N - n) * i / 3;
        tlg_product s = *g;
        s.bias = s.residual = NULL;
        s.M = 3;
        s.N = n;
        s.lda *= step;
        s.B = tlg_at(g->form, g->B, g->trans ? col * g->ldb : col);
        s.C = own;
        s.ldc = n;
        if (tlg_gemm_panel(&s) || !equal_rows(g->C + col, step * g->ldc, own, n, 3, n))
            return 0;
    }
    return 1;
}

// ---- parts --------------------------------------------------------------------------------------

// Two parts for each thread, so that one that comes late or loses its core holds up less. Each is
// about as tall as the product, for oneDNN reads its part of B once, and packs A anew in each part
// where rows of B lie a multiple of 4 KiB apart; there they are wider.
typedef struct {
    const tlg_product *g;
    long across, down;
    int failed;
} job;

#define ROWS_A_PART 64

static job cut(const tlg_product *g) {
    job j = {.g = g, .across = 1, .down = 1};
    if (!set_threads || tlg_threads() == 1)
        return j; // not libgomp's oneDNN: it has its own idea of threads
    long want = 2L * tlg_threads(), least = g->ldb % 1024 ? 96 : 384;
    while (g->N / tlg_ceil(want, j.down) < least && g->M / (j.down + 1) >= ROWS_A_PART)
        j.down++;
    j.across = tlg_max(1, tlg_min(tlg_ceil(want, j.down), g->N / least));
    return j;
}

// The part as a product of its own. Parts begin at multiples of 16 columns.
static tlg_product part_of(const job *j, long u) {
    tlg_product g = *j->g;
    long x = u % j->across, y = u / j->across;
    long col = x * g.N / j->across & ~15L, row = y * g.M / j->down;
    g.N = (x + 1 == j->across ? g.N : (x + 1) * g.N / j->across & ~15L) - col;
    g.M = (y + 1) * g.M / j->down - row;
    g.A += row * g.lda;
    g.B = tlg_at(g.form, g.B, g.trans ? col * g.ldb : col);
    g.C += row * g.ldc + col;
    if (g.bias)
        g.bias += col;
    if (g.residual)
        g.residual += row * g.ldr + col;
    return g;
}

// 0 if the part was computed and has our bits, as far as is known of its shape.
static int compute(const tlg_product *part, const tlg_product *whole) {
    int what = what_is_known(part);
    if (what == OTHER || call(part))
        return 1;
    if (what == UNKNOWN) {
        what = agrees_in_sample(part) ? SAME : OTHER;
        remember(part, what);
    }
    if (what == OTHER)
        remember(whole, OTHER);
    return what == OTHER;
}

static void unit(void *p, long u) {
    job *j = p;
    if (__atomic_load_n(&j->failed, __ATOMIC_RELAXED))
        return;
    tlg_product g = part_of(j, u);
    if (compute(&g, j->g)) {
        __atomic_store_n(&j->failed, 1, __ATOMIC_RELAXED);
        return;
    }
    for (long i = 0; i < g.M && (g.bias || g.residual); i++) {
        if (g.bias)
            tlg_add_here(g.N, g.C + i * g.ldc, g.bias);
        if (g.residual)
            tlg_add_here(g.N, g.C + i * g.ldc, g.residual + i * g.ldr);
    }
}

int tlg_onednn_suits(const tlg_product *g) {
    return g->form == TLG_F32 && !g->trans && g->M >= ROWS_A_PART && g->N >= SAMPLE && g->K >= 64;
}

int tlg_gemm_onednn(const tlg_product *g) {
    if (!usable() || what_is_known(g) == OTHER)
        return 1;
    job j = cut(g);
    tlg_for(j.across * j.down, tlg_product_ns(g), unit, &j);
    return j.failed;
}
