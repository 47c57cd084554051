// One row times a matrix, in the one order along K. Weights are read once, so memory is the limit.
#ifndef TLG_ISA
#include "gemm.h"

#define MAX_WIDTH 2048 // columns a unit: its sums stay in L1

#define TLG_BODY "gemv.c"
#include "each.h"

typedef struct {
    const tlg_product *g;
    long width;
    int failed;
} job;

static void unit_plain_b(void *p, long u) {
    job *j = p;
    long n0 = u * j->width;
    float *sums = tlg_scratch(TLG_SLOT_B, 2 * MAX_WIDTH * sizeof *sums);
    if (sums)
        TLG_PICK(gemv_rows)(j->g, n0, tlg_min(j->width, j->g->N - n0), sums);
    else
        __atomic_store_n(&j->failed, 1, __ATOMIC_RELAXED);
}

static void unit_transposed_b(void *p, long u) {
    job *j = p;
    long end = tlg_min((u + 1) * j->width, j->g->N);
    for (long n = u * j->width; n < end; n += 16)
        TLG_PICK(gemv_columns)(j->g, n, tlg_min(16, end - n));
}

int tlg_gemv(const tlg_product *g) {
    job j = {.g = g};
    if (g->trans)
        j.width = 64;
    else
        j.width = tlg_min(MAX_WIDTH, tlg_ceil(tlg_ceil(g->N, tlg_threads()), 64) * 64);
    tlg_for(tlg_ceil(g->N, j.width), tlg_product_ns(g), g->trans ? unit_transposed_b : unit_plain_b,
            &j);
    return j.failed;
}

#else

// Adds bias and residual to n <= 16 finished sums and stores them.
TLG_FN TLG_INLINE void FN(finish)(const tlg_product *g, long col, long n, vf s) {
    if (g->bias)
        s = v_add(s, v_loadn(g->bias + col, n));
    if (g->residual)
        s = v_add(s, v_loadn(g->residual + col, n));
    v_storen(g->C + col, s, n);
}

// acc[0..n) += x[0..kk) * rows of b, where kk <= 8. `fresh` starts the chain.
TLG_FN TLG_INLINE void FN(eight_rows)(long n, long kk, const float *x, const float *b, long ldb,
                                      const float *ahead, float *acc, int fresh) {
    for (long j = 0; j < n; j += 16) {
        vf a = fresh ? v_set1(0) : v_load(acc + j);
        if (kk == 8 && n - j >= 16) {
#pragma GCC unroll 8
            for (int q = 0; q < 8; q++) {
                __builtin_prefetch(ahead + q * ldb + j);
                a = v_fma(v_set1(x[q]), v_load(b + q * ldb + j), a);
            }
        } else {
            for (long q = 0; q < kk; q++)
                a = v_fma(v_set1(x[q]), v_loadn(b + q * ldb + j, n - j), a);
        }
        v_store(acc + j, a);
    }
}

// Columns n0 .. n0+n of plain B: whole rows stream past sums that stay in L1.
TLG_FN static void FN(gemv_rows)(const tlg_product *g, long n0, long n, float *scratch) {
    float *acc = scratch, *sum = scratch + MAX_WIDTH;
    for (long k0 = 0, kc; k0 < g->K; k0 += kc) {
        kc = tlg_kblock(g->K - k0);
        for (long k = 0; k < kc; k += 8) {
            const float *b = g->B + (k0 + k) * g->ldb + n0;
            const float *ahead = k0 + k + 16 <= g->K ? b + 8 * g->ldb : b;
            FN(eight_rows)(n, tlg_min(8, kc - k), g->A + k0 + k, b, g->ldb, ahead, acc, k == 0);
        }
        for (long j = 0; j < n; j += 16)
            v_store(sum + j, k0 ? v_add(v_load(sum + j), v_load(acc + j)) : v_load(acc + j));
    }
    for (long j = 0; j < n; j += 16)
        FN(finish)(g, n0 + j, tlg_min(16, n - j), v_load(sum + j));
}

// Columns n0 .. n0+n, n <= 16, of B stored [N, K]: tiles of 16 x 16 are turned in registers.
TLG_FN static void FN(gemv_columns)(const tlg_product *g, long n0, long n) {
    const float *b = g->B + n0 * g->ldb, *x = g->A;
    float tile[256];
    vf sum = v_set1(0);
    for (long k0 = 0, kc; k0 < g->K; k0 += kc) {
        kc = tlg_kblock(g->K - k0);
        vf a = v_set1(0);
        long k = k0;
        if (n == 16)
            for (; k + 16 <= k0 + kc; k += 16) {
                v_tr16(b + k, g->ldb, tile, 16);
#pragma GCC unroll 16
                for (int q = 0; q < 16; q++)
                    a = v_fma(v_set1(x[k + q]), v_load(tile + q * 16), a);
            }
        for (; k < k0 + kc; k++) {
            for (long l = 0; l < n; l++)
                tile[l] = b[l * g->ldb + k];
            a = v_fma(v_set1(x[k]), v_loadn(tile, n), a);
        }
        sum = k0 ? v_add(sum, a) : a;
    }
    FN(finish)(g, n0, n, sum);
}
#endif
