// C = A * B (+ bias) (+ residual): picks the kernel. All of them give the same bits, so the choice
// is only one of speed.
#include "gemm.h"

// Up to these many rows streaming over B beats packing it.
#define STREAM_ROWS 40
// Transposed B is packed on the fly, which is ours to do well up to here.
#define OWN_ROWS_TRANSPOSED 64

// K = 0: an empty sum, then bias and residual.
static void empty_product(const tlg_product *g) {
    for (long i = 0; i < g->M; i++)
        for (long j = 0; j < g->N; j++) {
            float s = 0;
            if (g->bias)
                s += g->bias[j];
            if (g->residual)
                s += g->residual[i * g->ldr + j];
            g->C[i * g->ldc + j] = s;
        }
}

int tlg_gemm(long M, long N, long K, const float *A, long lda, const float *B, long ldb, int transB,
             float *C, long ldc, const float *bias, const float *residual, long ldr) {
    tlg_product g = {M, N, K, A, lda, B, ldb, transB, C, ldc, bias, residual, ldr};
    if (M <= 0 || N <= 0)
        return 0;
    if (K <= 0) {
        empty_product(&g);
        return 0;
    }
    if (M == 1)
        return tlg_gemv(&g);
    if (!transB && M <= STREAM_ROWS)
        return tlg_gemm_stream(&g);
    if (M > (transB ? OWN_ROWS_TRANSPOSED : STREAM_ROWS) && tlg_gemm_onednn(&g) == 0)
        return 0;
    return tlg_gemm_panel(&g);
}
