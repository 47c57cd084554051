// float64 products, for models that are run in it to check others. Every element is one chain of
// fused multiply-adds along K, then bias, then residual: the same bits whatever the rows, threads
// and instruction set. B is packed into panels of 16 columns.
#ifndef TLG_ISA
#include "cpu.h"
#define TLG_BODY "gemm_f64.c"
#define COLUMNS 16
#define DEPTH 512 // of K a panel

typedef struct {
    long M, N, K;
    const double *A;
    long lda;
    const double *B;
    long ldb;
    int trans;
    double *C;
    long ldc;
    const double *bias, *residual;
    long ldr;
    int failed;
} job;

#include "each.h"

static void unit(void *p, long u) {
    job *j = p;
    double *panel = tlg_scratch(TLG_SLOT_B, DEPTH * COLUMNS * sizeof *panel);
    if (panel)
        TLG_PICK(columns)(j, u * COLUMNS, panel);
    else
        __atomic_store_n(&j->failed, 1, __ATOMIC_RELAXED);
}

int tlg_gemm_f64(long M, long N, long K, const double *A, long lda, const double *B, long ldb,
                 int transB, double *C, long ldc, const double *bias, const double *residual,
                 long ldr) {
    job j = {M, N, K, A, lda, B, ldb, transB, C, ldc, bias, residual, ldr, 0};
    if (M > 0 && N > 0)
        tlg_for(tlg_ceil(N, COLUMNS), (double)M * N * K / 8, unit, &j);
    return j.failed;
}

#else

// d[k][column] of columns n0 .. and of k0 .. k0+kc; columns past N are zero.
TLG_FN static void FN(pack)(const job *j, long n0, long k0, long kc, double *d) {
    long n = tlg_min(COLUMNS, j->N - n0);
    for (long k = 0; k < kc; k++)
        for (long c = 0; c < COLUMNS; c++)
            d[k * COLUMNS + c] = c >= n     ? 0
                                 : j->trans ? j->B[(n0 + c) * j->ldb + k0 + k]
                                            : j->B[(k0 + k) * j->ldb + n0 + c];
}

// ROWS rows from row r: the sums go on from what C holds, unless these are the first k.
TLG_FN TLG_INLINE void FN(rows)(const int ROWS, const job *j, long r, long n0, long k0, long kc,
                                const double *panel) {
    double sum[4][COLUMNS] = {{0}};
    long n = tlg_min(COLUMNS, j->N - n0);
    for (int i = 0; i < ROWS && k0; i++)
        memcpy(sum[i], j->C + (r + i) * j->ldc + n0, (size_t)n * sizeof(double));
    for (long k = 0; k < kc; k++)
        for (int i = 0; i < ROWS; i++) {
            double a = j->A[(r + i) * j->lda + k0 + k];
            for (int c = 0; c < COLUMNS; c++)
                sum[i][c] = __builtin_fma(a, panel[k * COLUMNS + c], sum[i][c]);
        }
    for (int i = 0; i < ROWS; i++)
        memcpy(j->C + (r + i) * j->ldc + n0, sum[i], (size_t)n * sizeof(double));
}

TLG_FN static void FN(columns)(const job *j, long n0, double *panel) {
    long n = tlg_min(COLUMNS, j->N - n0);
    for (long k0 = 0; k0 < j->K || !k0; k0 += DEPTH) {
        long kc = tlg_min(DEPTH, j->K - k0), r = 0;
        FN(pack)(j, n0, k0, kc, panel);
        for (; r + 4 <= j->M; r += 4)
            FN(rows)(4, j, r, n0, k0, kc, panel);
        for (; r < j->M; r++)
            FN(rows)(1, j, r, n0, k0, kc, panel);
    }
    for (long r = 0; r < j->M; r++)
        for (long c = n0; c < n0 + n; c++) {
            double *s = j->C + r * j->ldc + c;
            if (j->bias)
                *s += j->bias[c];
            if (j->residual)
                *s += j->residual[r * j->ldr + c];
        }
}
#endif
