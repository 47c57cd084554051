// Many rows times a matrix: B is packed block by block into panels of 32 columns that stay in
// cache, A once into blocks of a few rows, and a register tile runs over them.
#ifndef TLG_ISA
#include "gemm.h"
#define TLG_BODY "gemm_panel.c"
#define NR 32             // columns a panel
#define ROWS_AT_ONCE 1008 // rows of A packed at a time: bounds the scratch memory
#define ROWS_A_UNIT 98    // their packed block stays in L2
#define PANELS_A_UNIT 6

typedef struct {
    const tlg_product *g;
    long row0, rows, blocks; // this pass over A; block i is rows i*rows/blocks ..
    long groups, chunks, panels;
    float *packed_a;
    int failed;
} job;

#define BLOCK_START(j, i) ((i) * (j)->rows / (j)->blocks)

#include "each.h"

static void pack_unit(void *p, long u) {
    job *j = p;
    TLG_PICK(pack_a)(j, u);
}

static void unit(void *p, long u) {
    job *j = p;
    float *panel = tlg_scratch(TLG_SLOT_B, TLG_KMAX * NR * sizeof *panel);
    if (panel)
        TLG_PICK(panel_unit)(j, u / j->chunks, u % j->chunks, panel);
    else
        __atomic_store_n(&j->failed, 1, __ATOMIC_RELAXED);
}

int tlg_gemm_panel(const tlg_product *g) {
    long block = tlg_isa() == TLG_ISA_AVX512 ? 14 : tlg_isa() == TLG_ISA_AVX2 ? 6 : 4;
    long np = tlg_ceil(g->N, NR);
    job j = {.g = g};
    for (; j.row0 < g->M; j.row0 += j.rows) {
        j.rows = tlg_min(ROWS_AT_ONCE, g->M - j.row0);
        j.blocks = tlg_ceil(j.rows, block);
        j.chunks = tlg_ceil(j.rows, ROWS_A_UNIT);
        j.panels = PANELS_A_UNIT;
        while (j.panels > 1 && tlg_ceil(np, j.panels) * j.chunks < 4 * tlg_threads())
            j.panels--;
        j.groups = tlg_ceil(np, j.panels);
        j.packed_a = tlg_scratch(TLG_SLOT_A, (size_t)j.rows * g->K * sizeof(float));
        if (!j.packed_a)
            return 1;
        tlg_for(j.blocks, (double)j.rows * g->K / 2, pack_unit, &j);
        tlg_for(j.groups * j.chunks, tlg_product_ns(g), unit, &j);
        if (j.failed)
            return 1;
    }
    return 0;
}

#else
#include "widen_lanes.h"

#if TLG_ISA == TLG_ISA_AVX512
#define NV 2
#elif TLG_ISA == TLG_ISA_AVX2
#define NV 1
#else
#define NV 1
#endif

// Block i of A as [k][row].
TLG_FN static void FN(pack_a)(const job *j, long i) {
    const tlg_product *g = j->g;
    long r0 = BLOCK_START(j, i), mr = BLOCK_START(j, i + 1) - r0, k = 0;
    const float *a = g->A + (j->row0 + r0) * g->lda;
    float *d = j->packed_a + r0 * g->K, rows[256] = {0}, turned[256];
    for (; k + 16 <= g->K; k += 16, d += 16 * mr) {
        for (long r = 0; r < mr; r++)
            v_store(rows + r * 16, v_load(a + r * g->lda + k));
        v_tr16(rows, 16, turned, 16);
        for (long q = 0; q < 15; q++) // each store overlaps the next but the last
            v_storen(d + q * mr, v_load(turned + q * 16), q * mr + 16 <= 16 * mr ? 16 : mr);
        v_storen(d + 15 * mr, v_load(turned + 15 * 16), mr);
    }
    for (; k < g->K; k++, d += mr)
        for (long r = 0; r < mr; r++)
            d[r] = a[r * g->lda + k];
}

// Columns n0 .. n0+n of plain B, n <= 16, and of its rows k0 .. k0+kc, as d[k][32]; the rest of 16
// are zero.
TLG_FN TLG_INLINE void FN(pack_plain)(const int form, const tlg_product *g, long n0, long n,
                                      long k0, long kc, float *d) {
    const void *b = tlg_at(form, g->B, k0 * g->ldb + n0);
    for (long k = 0; k < kc; k++)
        v_store(d + k * NR, FN(lanes_n)(form, tlg_at(form, b, k * g->ldb), n));
}

// The same of B stored [N, K]; the rest of 16 are of no account.
TLG_FN TLG_INLINE void FN(pack_turned)(const int form, const tlg_product *g, long n0, long n,
                                       long k0, long kc, float *d) {
    enum { UNROLL = TLG_ISA == TLG_ISA_PLAIN ? 1 : 16 }; // there a lane operation is a loop already
    const void *b = tlg_at(form, g->B, n0 * g->ldb);
    FN(strip) s;
    for (long k = k0, kk; k < k0 + kc; k += kk, d += kk * NR) {
        kk = tlg_min(16, k0 + kc - k);
        if (form == TLG_F32 && kk == 16 && n == 16) {
            v_tr16((const float *)b + k, g->ldb, d, NR);
            continue;
        }
        if (FN(turns_at)(form, k, k0))
            FN(turn)(form, &s, b, g->ldb, k, n, kk);
        if (kk == 16) {
#pragma GCC unroll UNROLL
            for (int i = 0; i < 16; i++)
                v_store(d + i * NR, FN(lanes)(form, &s, k, i));
        } else {
            for (int i = 0; i < kk; i++)
                v_store(d + i * NR, FN(lanes)(form, &s, k, i));
        }
    }
}

// Rows k0 .. k0+kc of panel p as d[k][32].
TLG_FN static void FN(pack_b)(const tlg_product *g, long p, long k0, long kc, float *d) {
    for (long c = 0; c < NR; c += 16, d += 16) {
        long n0 = p * NR + c, n = tlg_min(16, g->N - n0);
        if (n <= 0) {
            for (long k = 0; k < kc; k++)
                v_store(d + k * NR, v_set1(0));
        } else if (g->trans) {
            TLG_EACH_FORM(g->form, FN(pack_turned)(FORM, g, n0, n, k0, kc, d));
        } else {
            TLG_EACH_DENSE_FORM(g->form, FN(pack_plain)(FORM, g, n0, n, k0, kc, d));
        }
    }
}

// What a register tile computes: MR rows from row `row`, columns from `col`, `n` of them valid.
typedef struct {
    const tlg_product *g;
    long row, col, n, kc;
    const float *a, *b;
    long ldb;
    int first, last;
    const char *ahead; // where the next block of B lies: part of it is fetched into L2 meanwhile
    long outer, inner, also[2]; // the first line of it is at outer*i + inner*j; so many bytes on
                                // lie two more (the same again, where there are none)
} FN(tile);

// One k: MR values of a times one row of b.
TLG_FN TLG_INLINE void FN(step)(const int MR, const float *a, const float *b, vf (*acc)[NV]) {
    vf w[NV];
#pragma GCC unroll 2
    for (int v = 0; v < NV; v++)
        w[v] = v_load(b + v * 16);
#pragma GCC unroll 14
    for (int r = 0; r < MR; r++) {
        vf x = v_set1(a[r]);
#pragma GCC unroll 2
        for (int v = 0; v < NV; v++)
            acc[r][v] = v_fma(x, w[v], acc[r][v]);
    }
}

TLG_FN TLG_INLINE void FN(run_tile)(const int MR, const FN(tile) * t) {
    vf acc[14][NV]; // of which MR rows are used; with MR here the sums would stay in memory
#pragma GCC unroll 14
    for (int r = 0; r < MR; r++)
#pragma GCC unroll 2
        for (int v = 0; v < NV; v++)
            acc[r][v] = v_set1(0);
    const float *a = t->a, *b = t->b;
    long k = 0, ldb = t->ldb;
    if (t->ahead)
        for (int o = 0; o < 16; o++) {
            const char *p = t->ahead + o * t->outer;
            for (long i = 0; i < t->kc / 16; i++, k++, p += t->inner, a += MR, b += ldb) {
                __builtin_prefetch(p, 0, 2);
                __builtin_prefetch(p + t->also[0], 0, 2);
                __builtin_prefetch(p + t->also[1], 0, 2);
                FN(step)(MR, a, b, acc);
            }
        }
    for (; k < t->kc; k++, a += MR, b += ldb)
        FN(step)(MR, a, b, acc);
    const tlg_product *g = t->g;
#pragma GCC unroll 14
    for (int r = 0; r < MR; r++)
#pragma GCC unroll 2
        for (int v = 0; v < NV; v++) {
            long n = tlg_min(16, t->n - v * 16), col = t->col + v * 16;
            if (n <= 0)
                continue;
            float *c = g->C + (t->row + r) * g->ldc + col;
            vf s = acc[r][v];
            if (!t->first)
                s = v_add(v_loadn(c, n), s);
            if (t->last && g->bias)
                s = v_add(s, v_loadn(g->bias + col, n));
            if (t->last && g->residual)
                s = v_add(s, v_loadn(g->residual + (t->row + r) * g->ldr + col, n));
            v_storen(c, s, n);
        }
}

// clang-format off
#define TILE(n)                                                                                    \
    TLG_FN static __attribute__((noinline)) void FN(tile##n)(const FN(tile) * t) {                 \
        FN(run_tile)(n, t);                                                                        \
    }
TILE(1) TILE(2) TILE(3) TILE(4)
#if TLG_ISA != TLG_ISA_PLAIN
TILE(5) TILE(6)
#endif
#if TLG_ISA == TLG_ISA_AVX512
TILE(7) TILE(8) TILE(9) TILE(10) TILE(11) TILE(12) TILE(13) TILE(14)
#endif
#undef TILE

static void (*const FN(tiles)[])(const FN(tile) *) = {
    NULL, FN(tile1), FN(tile2), FN(tile3), FN(tile4),
#if TLG_ISA != TLG_ISA_PLAIN
    FN(tile5), FN(tile6),
#endif
#if TLG_ISA == TLG_ISA_AVX512
    FN(tile7), FN(tile8), FN(tile9), FN(tile10), FN(tile11), FN(tile12), FN(tile13), FN(tile14),
#endif
};
// clang-format on

// Panels of one group times one chunk of A's rows.
TLG_FN static void FN(panel_unit)(const job *j, long group, long chunk, float *panel) {
    const tlg_product *g = j->g;
    long b0 = chunk * j->blocks / j->chunks, b1 = (chunk + 1) * j->blocks / j->chunks;
    long p0 = group * j->panels, p1 = tlg_min(p0 + j->panels, tlg_ceil(g->N, NR));
    for (long k0 = 0, kc; k0 < g->K; k0 += kc) {
        kc = tlg_kblock(g->K - k0);
        for (long p = p0; p < p1; p++) {
            int direct = g->form == TLG_F32 && !g->trans && (p + 1) * NR <= g->N;
            if (!direct)
                FN(pack_b)(g, p, k0, kc, panel);
            const float *wide = g->B, *b = direct ? wide + k0 * g->ldb + p * NR : panel;
            FN(tile) t = {.g = g, .kc = kc, .first = k0 == 0, .last = k0 + kc == g->K};
            long next_p = p + 1 < p1 ? p + 1 : p0, next_k = p + 1 < p1 ? k0 : k0 + kc;
            const char *next = NULL;
            if (next_k + kc <= g->K && (next_p + 1) * NR <= g->N && kc >= 16)
                next = tlg_at(g->form, g->B,
                              g->trans ? next_p * NR * g->ldb + next_k
                                       : next_k * g->ldb + next_p * NR);
            t.ldb = direct ? g->ldb : NR;
            const long row = tlg_bytes(g->form, g->ldb), some = tlg_bytes(g->form, 32) / 2;
            t.inner = g->trans ? some : row;
            t.outer = g->trans ? row : kc / 16 * row;
            // Half of it while the first block of rows runs, half during the second. Rows of plain
            // B may begin within a cache line, and so touch three.
            long half = g->trans ? 16 * row : some, end = g->trans ? 0 : 2 * some - 1;
            t.also[0] = b1 - b0 == 1 ? half : 0;
            t.also[1] = end;
            for (long i = b0; i < b1; i++) {
                long r0 = BLOCK_START(j, i), mr = BLOCK_START(j, i + 1) - r0;
                t.row = j->row0 + r0;
                t.a = j->packed_a + r0 * g->K + k0 * mr;
                t.ahead = next && i - b0 < 2 ? next + (i - b0) * half : NULL;
                if (i > b0)
                    t.also[1] = 0;
                for (long c = 0; c < NR; c += 16 * NV) {
                    t.col = p * NR + c;
                    t.n = g->N - t.col;
                    t.b = b + c;
                    if (t.n > 0)
                        FN(tiles)[mr](&t);
                }
            }
        }
    }
}

#undef NV
#endif
