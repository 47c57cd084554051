// C = A * B (+ bias) (+ residual): picks the kernel. All of them give the same bits, so the choice
// is only one of speed.
#include "gemm.h"

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

// Streaming over whole rows of B wins where its rows do not begin on cache lines: for a few rows of
// A if only the first does not, for more if each begins elsewhere. Of other forms than float32 it
// spares the packing.
static int streams(const tlg_product *g) {
    long most = g->form != TLG_F32 || g->ldb % 16 ? 40 : (uintptr_t)g->B % 64 ? 3 : 1;
    return !g->trans && g->M <= most;
}

int tlg_gemm(long M, long N, long K, const float *A, long lda, int form, const void *B, long ldb,
             int transB, float *C, long ldc, const float *bias, const float *residual, long ldr) {
    tlg_product g = {M, N, K, A, lda, form, B, ldb, transB, C, ldc, bias, residual, ldr};
    if (M <= 0 || N <= 0)
        return 0;
    if (K <= 0) {
        empty_product(&g);
        return 0;
    }
    if (M == 1)
        return tlg_gemv(&g);
    if (streams(&g))
        return tlg_gemm_stream(&g);
    if (tlg_onednn_suits(&g) && tlg_gemm_onednn(&g) == 0)
        return 0;
    return tlg_gemm_panel(&g);
}
