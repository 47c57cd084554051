// One row times a matrix, in the one order along K. Weights are read once, so memory is the limit,
// and those that are stored narrower are widened on the way.
#ifndef TLG_ISA
#include "gemm.h"

#define MAX_WIDTH 2048 // columns a unit: its sums stay in L1
#define LINES_AHEAD 4

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
    TLG_PICK(gemv_columns)(j->g, u * j->width, end - u * j->width);
}

int tlg_gemv(const tlg_product *g) {
    job j = {.g = g};
    if (g->trans)
        j.width = 32;
    else
        j.width = tlg_min(MAX_WIDTH, tlg_ceil(tlg_ceil(g->N, tlg_threads()), 64) * 64);
    tlg_for(tlg_ceil(g->N, j.width), tlg_product_ns(g), g->trans ? unit_transposed_b : unit_plain_b,
            &j);
    return j.failed;
}

#else
#include "widen_lanes.h"

// Adds bias and residual to n <= 16 finished sums and stores them.
TLG_FN TLG_INLINE void FN(finish)(const tlg_product *g, long col, long n, vf s) {
    if (g->bias)
        s = v_add(s, v_loadn(g->bias + col, n));
    if (g->residual)
        s = v_add(s, v_loadn(g->residual + col, n));
    v_storen(g->C + col, s, n);
}

// acc[0..n) += x[0..kk) * rows of b, where kk <= 8. `fresh` starts the chain.
TLG_FN TLG_INLINE void FN(eight_rows)(const int form, long n, long kk, const float *x,
                                      const void *b, long ldb, const void *ahead, float *acc,
                                      int fresh) {
    for (long j = 0; j < n; j += 16) {
        vf a = fresh ? v_set1(0) : v_load(acc + j);
        if (kk == 8 && n - j >= 16) {
#pragma GCC unroll 8
            for (int q = 0; q < 8; q++) {
                __builtin_prefetch(tlg_at(form, ahead, q * ldb + j));
                a = v_fma(v_set1(x[q]), FN(lanes_at)(form, tlg_at(form, b, q * ldb + j)), a);
            }
        } else {
            for (long q = 0; q < kk; q++)
                a = v_fma(v_set1(x[q]), FN(lanes_n)(form, tlg_at(form, b, q * ldb + j), n - j), a);
        }
        v_store(acc + j, a);
    }
}

// Columns n0 .. n0+n of plain B: whole rows stream past sums that stay in L1.
TLG_FN TLG_INLINE void FN(rows_of)(const int form, const tlg_product *g, long n0, long n,
                                   float *scratch) {
    float *acc = scratch, *sum = scratch + MAX_WIDTH;
    for (long k0 = 0, kc; k0 < g->K; k0 += kc) {
        kc = tlg_kblock(g->K - k0);
        for (long k = 0; k < kc; k += 8) {
            const void *b = tlg_at(form, g->B, (k0 + k) * g->ldb + n0);
            const void *ahead = k0 + k + 16 <= g->K ? tlg_at(form, b, 8 * g->ldb) : b;
            FN(eight_rows)(form, n, tlg_min(8, kc - k), g->A + k0 + k, b, g->ldb, ahead, acc,
                           k == 0);
        }
        for (long j = 0; j < n; j += 16)
            v_store(sum + j, k0 ? v_add(v_load(sum + j), v_load(acc + j)) : v_load(acc + j));
    }
    for (long j = 0; j < n; j += 16)
        FN(finish)(g, n0 + j, tlg_min(16, n - j), v_load(sum + j));
}

TLG_FN static void FN(gemv_rows)(const tlg_product *g, long n0, long n, float *scratch) {
    TLG_EACH_DENSE_FORM(g->form, FN(rows_of)(FORM, g, n0, n, scratch));
}

// Fetches what rows b .. b+rows of B hold some lines behind value k, or where the rows after these
// begin. Rows are read side by side, too many for the processor to foresee. k is where a strip
// begins.
TLG_FN TLG_INLINE void FN(fetch_ahead)(const int form, const tlg_product *g, const void *b,
                                       long rows, long k) {
    const long line = 64, strip = tlg_bytes(form, tlg_blocked(form) ? TLG_BLOCK : 16);
    const long step = tlg_bytes(form, g->ldb), end = tlg_bytes(form, g->K);
    long from = tlg_bytes(form, k), at = from + LINES_AHEAD * line;
    if (from / line == (from + strip) / line)
        return;
    const char *p = (const char *)b + (at < end ? at : rows * step + at - end);
#pragma GCC unroll 32
    for (long r = 0; r < rows; r++)
        __builtin_prefetch(p + r * step);
}

// Columns n0 .. n0+n, to 16 a group, of B stored [N, K]: strips of it are turned in registers.
// The sums of two groups are two chains, of which neither has to wait.
TLG_FN TLG_INLINE void FN(columns_of)(const int form, const int groups, const tlg_product *g,
                                      long n0, long n) {
    enum { UNROLL = TLG_ISA == TLG_ISA_PLAIN ? 1 : 16 }; // there a lane operation is a loop already
    const void *b = tlg_at(form, g->B, n0 * g->ldb);
    FN(strip) s[2];
    vf sum[2] = {v_set1(0), v_set1(0)};
    for (long k0 = 0, kc; k0 < g->K; k0 += kc) {
        kc = tlg_kblock(g->K - k0);
        vf a[2] = {v_set1(0), v_set1(0)};
        for (long k = k0, kk; k < k0 + kc; k += kk) {
            const float *x = g->A + k;
            kk = tlg_min(16, k0 + kc - k);
            if (FN(turns_at)(form, k, k0)) {
#pragma GCC unroll 2
                for (int j = 0; j < groups; j++)
                    FN(turn)(form, &s[j], tlg_at(form, b, j * 16 * g->ldb), g->ldb, k,
                             tlg_min(16, n - j * 16), kk);
                FN(fetch_ahead)(form, g, b, 16 * groups, k);
            }
            if (kk == 16) {
#pragma GCC unroll UNROLL
                for (int i = 0; i < 16; i += 4)
#pragma GCC unroll 2
                    for (int j = 0; j < groups; j++) {
                        FN(reread)(&s[j]);
#pragma GCC unroll 4
                        for (int l = i; l < i + 4; l++)
                            a[j] = v_fma(v_set1(x[l]), FN(lanes)(form, &s[j], k, l), a[j]);
                    }
            } else {
                for (int i = 0; i < kk; i++)
                    for (int j = 0; j < groups; j++)
                        a[j] = v_fma(v_set1(x[i]), FN(lanes)(form, &s[j], k, i), a[j]);
            }
        }
        for (int j = 0; j < groups; j++)
            sum[j] = k0 ? v_add(sum[j], a[j]) : a[j];
    }
    for (int j = 0; j < groups && j * 16 < n; j++)
        FN(finish)(g, n0 + j * 16, tlg_min(16, n - j * 16), sum[j]);
}

// Of float32 two groups would be more rows than the first cache can hold side by side.
TLG_FN TLG_INLINE void FN(groups_of)(const int form, const tlg_product *g, long n0, long n) {
    const int groups = form == TLG_F32 ? 1 : 2;
    for (long i = 0; i < n; i += 16 * groups)
        FN(columns_of)(form, groups, g, n0 + i, tlg_min(16 * groups, n - i));
}

TLG_FN static void FN(gemv_columns)(const tlg_product *g, long n0, long n) {
    TLG_EACH_FORM(g->form, FN(groups_of)(FORM, g, n0, n));
}
#endif
