// A few rows times plain B [K, N]: a handful of B's rows at a time stream past a tile of sums that
// stays in cache. Nothing is packed but the few rows of A.
#ifndef TLG_ISA
#include "gemm.h"
#define TLG_BODY "gemm_stream.c"
#define MAX_TILE 384 // columns a unit
#include "each.h"

typedef struct {
    const tlg_product *g;
    long width;
    int failed;
} job;

static void unit(void *p, long u) {
    job *j = p;
    const tlg_product *g = j->g;
    long n0 = u * j->width;
    float *mem = tlg_scratch(TLG_SLOT_B, (size_t)g->M * (j->width + TLG_KMAX + 8) * sizeof *mem);
    if (mem)
        TLG_PICK(stream)(g, n0, tlg_min(j->width, g->N - n0), j->width, mem);
    else
        __atomic_store_n(&j->failed, 1, __ATOMIC_RELAXED);
}

int tlg_gemm_stream(const tlg_product *g) {
    job j = {.g = g, .width = g->M <= 16 && g->N > 768 ? MAX_TILE : MAX_TILE / 2};
    while (j.width > 64 && tlg_ceil(g->N, j.width) < tlg_threads())
        j.width -= 32;
    tlg_for(tlg_ceil(g->N, j.width), tlg_product_ns(g), unit, &j);
    return j.failed;
}

#else
#include "widen_lanes.h"

// KG rows of B by NV registers are held at a time.
#if TLG_ISA == TLG_ISA_AVX512
#define KG 8
#define NV 2
#elif TLG_ISA == TLG_ISA_AVX2
#define KG 4
#define NV 1
#else
#define KG 4
#define NV 1
#endif

// acc[r][j..] += x[r][q] * b[q][j..] for nv registers from column j; the last holds `tail` lanes.
TLG_FN TLG_INLINE void FN(tile)(const int form, const int nv, long M, long kk, const float *x,
                                const void *b, long ldb, const void *ahead, float *acc, long lda,
                                int fresh, long tail) {
    vf w[KG][NV];
#pragma GCC unroll 8
    for (int q = 0; q < KG; q++)
#pragma GCC unroll 2
        for (int v = 0; v < nv; v++) {
            __builtin_prefetch(tlg_at(form, ahead, q * ldb + v * 16));
            const void *p = tlg_at(form, b, (q < kk ? q : 0) * ldb + v * 16);
            w[q][v] = tail < 16 ? FN(lanes_n)(form, p, tail) : FN(lanes_at)(form, p);
        }
    for (long r = 0; r < M; r++, x += KG, acc += lda) {
        vf a[NV];
#pragma GCC unroll 2
        for (int v = 0; v < nv; v++)
            a[v] = fresh ? v_set1(0) : v_load(acc + v * 16);
        if (kk == KG) {
#pragma GCC unroll 8
            for (int q = 0; q < KG; q++)
#pragma GCC unroll 2
                for (int v = 0; v < nv; v++)
                    a[v] = v_fma(v_set1(x[q]), w[q][v], a[v]);
        } else {
#pragma GCC unroll 8
            for (int q = 0; q < KG - 1; q++)
                if (q < kk)
#pragma GCC unroll 2
                    for (int v = 0; v < nv; v++)
                        a[v] = v_fma(v_set1(x[q]), w[q][v], a[v]);
        }
#pragma GCC unroll 2
        for (int v = 0; v < nv; v++)
            v_store(acc + v * 16, a[v]);
    }
}

// xa[k/KG][row][KG] from rows of A, columns k0 .. k0+kc.
TLG_FN static void FN(pack_rows)(const tlg_product *g, long k0, long kc, float *xa) {
    for (long r = 0; r < g->M; r++) {
        const float *a = g->A + r * g->lda + k0;
        for (long k = 0; k < kc; k += KG)
            for (long q = 0; q < KG; q++)
                xa[k * g->M + r * KG + q] = k + q < kc ? a[k + q] : 0;
    }
}

// Adds a finished block of sums to C, and bias and residual after the last.
TLG_FN static void FN(flush)(const tlg_product *g, long n0, long n, const float *acc, long lda,
                             int first, int last) {
    for (long r = 0; r < g->M; r++) {
        float *c = g->C + r * g->ldc + n0;
        for (long j = 0; j < n; j += 16) {
            long m = tlg_min(16, n - j);
            vf s = v_load(acc + r * lda + j);
            if (!first)
                s = v_add(v_loadn(c + j, m), s);
            if (last && g->bias)
                s = v_add(s, v_loadn(g->bias + n0 + j, m));
            if (last && g->residual)
                s = v_add(s, v_loadn(g->residual + r * g->ldr + n0 + j, m));
            v_storen(c + j, s, m);
        }
    }
}

// kk <= KG rows of b over all n columns.
TLG_FN TLG_INLINE void FN(group)(const int form, long M, long n, long kk, const float *x,
                                 const void *b, long ldb, const void *ahead, float *acc, long lda,
                                 int fresh) {
#define TILE(nv, tail)                                                                             \
    FN(tile)(form, nv, M, kk, x, tlg_at(form, b, j), ldb, tlg_at(form, ahead, j), acc + j, lda,    \
             fresh, tail)
    long j = 0;
    for (; j + 16 * NV <= n; j += 16 * NV)
        TILE(NV, 16);
    for (; j + 16 <= n; j += 16)
        TILE(1, 16);
    if (j < n)
        TILE(1, n - j);
#undef TILE
}

TLG_FN TLG_INLINE void FN(stream_of)(const int form, const tlg_product *g, long n0, long n,
                                     long width, float *mem) {
    float *acc = mem, *xa = mem + g->M * width;
    for (long k0 = 0, kc; k0 < g->K; k0 += kc) {
        kc = tlg_kblock(g->K - k0);
        FN(pack_rows)(g, k0, kc, xa);
        for (long k = 0; k < kc; k += KG) {
            const void *b = tlg_at(form, g->B, (k0 + k) * g->ldb + n0);
            const void *ahead = k0 + k + 2 * KG <= g->K ? tlg_at(form, b, KG * g->ldb) : b;
            const float *x = xa + k * g->M;
            if (kc - k >= KG)
                FN(group)(form, g->M, n, KG, x, b, g->ldb, ahead, acc, width, k == 0);
            else
                FN(group)(form, g->M, n, kc - k, x, b, g->ldb, ahead, acc, width, k == 0);
        }
        FN(flush)(g, n0, n, acc, width, k0 == 0, k0 + kc == g->K);
    }
}

TLG_FN static void FN(stream)(const tlg_product *g, long n0, long n, long width, float *mem) {
    TLG_EACH_DENSE_FORM(g->form, FN(stream_of)(FORM, g, n0, n, width, mem));
}

#undef KG
#undef NV
#endif
