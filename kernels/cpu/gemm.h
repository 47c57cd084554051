// What the GEMM files share.
#pragma once
#include "form.h"

typedef struct {
    long M, N, K;
    const float *A;
    long lda;
    int form; // how B is stored; all else is float32
    const void *B;
    long ldb;
    int trans; // B is [N, K]
    float *C;
    long ldc;
    const float *bias;     // [N] or NULL
    const float *residual; // [M, N] or NULL
    long ldr;
} tlg_product;

// Roughly how long a product takes on one thread, for tlg_for.
TLG_INLINE double tlg_product_ns(const tlg_product *g) {
    double macs = (double)g->M * g->N * g->K;
    double loads = (double)g->N * g->K;
    return macs / 30 + loads / 3;
}

int tlg_gemv(const tlg_product *g);
int tlg_gemm_stream(const tlg_product *g); // plain B, few rows
int tlg_gemm_panel(const tlg_product *g);

// Whether oneDNN is likely faster than our own kernels for a product.
int tlg_onednn_suits(const tlg_product *g);
// 0 done, 1 not done: there is no oneDNN, or its bits are not ours.
int tlg_gemm_onednn(const tlg_product *g);
