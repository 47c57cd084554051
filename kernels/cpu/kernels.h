// The C functions that the Go wrappers of this package call. Shapes and contracts are told there.
// Functions that return int return 0, or 1 when there is no memory for their scratch buffers.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#endif

int tlg_isa(void);
int tlg_isa_set(int isa);

int tlg_threads(void);
void tlg_set_threads(int n);

// NULL, or why the library cannot be used (a string that lives as long as the process).
const char *tlg_onednn_open(const char *path);
enum { TLG_ONEDNN_NONE, TLG_ONEDNN_UNCHECKED, TLG_ONEDNN_SAME, TLG_ONEDNN_OTHER };
int tlg_onednn_state(void);

// How a matrix is stored: as numbers, or in GGUF's blocks along its rows. Leading dimensions count
// values.
enum { TLG_F32, TLG_BF16, TLG_F16, TLG_Q8_0, TLG_Q4_1 };

int tlg_gemm(long M, long N, long K, const float *A, long lda, int form, const void *B, long ldb,
             int transB, float *C, long ldc, const float *bias, const float *residual, long ldr);

int tlg_gemm_f64(long M, long N, long K, const double *A, long lda, const double *B, long ldb,
                 int transB, double *C, long ldc, const double *bias, const double *residual,
                 long ldr);

// Strides in elements; the last axis is contiguous.
typedef struct {
    long batch, pos, head;
} tlg_strides;
typedef struct {
    long batch, heads, kv_heads, q_len, k_len, head_dim, value_dim, window;
    int causal, zero_masked;
    float scale, softcap; // softcap 0: none
} tlg_attention_shape;
int tlg_attention(const tlg_attention_shape *s, const float *q, const tlg_strides *qs,
                  const float *k, const tlg_strides *ks, const float *v, const tlg_strides *vs,
                  const uint8_t *mask, float *z);
int tlg_scores(const tlg_attention_shape *s, const float *q, const tlg_strides *qs, const float *k,
               const tlg_strides *ks, const uint8_t *mask, float *scores);
int tlg_mix(const tlg_attention_shape *s, const float *pattern, const float *v,
            const tlg_strides *vs, float *z);
void tlg_softmax(long rows, long n, int zero_masked, const float *scores, float *pattern);

void tlg_layernorm(long rows, long n, const float *x, long ldx, float eps, const float *w,
                   const float *b, float *y, float *normalized, float *scale);
void tlg_layernorm_normalize(long rows, long n, const float *x, long ldx, const float *scale,
                             float *normalized);
void tlg_rmsnorm(long rows, long n, const float *x, long ldx, float eps, const float *w, float *y,
                 float *normalized, float *scale);
void tlg_rmsnorm_normalize(long rows, long n, const float *x, long ldx, const float *scale,
                           float *normalized);
void tlg_affine(long rows, long n, const float *x, const float *w, const float *b, float *y);

void tlg_rope(long batch, long pos, long heads, long dim, long rotary, int adjacent, const float *x,
              const tlg_strides *xs, const float *cosines, const float *sines, long table_batch,
              long table_pos, float *y, const tlg_strides *ys);
void tlg_rope_table(long n, long half, const float *inv_freq, const int64_t *positions,
                    float divisor, float scaling, int adjacent, float *cosines, float *sines);

enum {
    TLG_GELU_TANH,
    TLG_GELU,
    TLG_SILU,
    TLG_RELU,
    TLG_RELU_SQUARED,
    TLG_TANH,
    TLG_SIGMOID,
    TLG_QUICK_GELU,
};
void tlg_activate(int kind, long n, const float *x, float *y);
void tlg_activate_mul(int kind, long rows, long n, const float *x, long ldx, const float *up,
                      long ldu, float *y, long ldy);

void tlg_softcap(long n, float cap, const float *x, float *y);
void tlg_solu(long rows, long n, const float *x, float *y);

void tlg_add(long n, const float *a, const float *b, float *c);
void tlg_mul(long n, const float *a, const float *b, float *c);
void tlg_scale(long n, float s, const float *a, float *c);
void tlg_add_rows(long rows, long n, const float *a, long lda, const float *row, float *c,
                  long ldc);

void tlg_gather(long rows, long n, int form, const void *table, long ldt, const int64_t *ids,
                const float *add, long ld_add, float *out, long ldo);
void tlg_cross_entropy(long rows, long n, const float *logits, long ldl, const int64_t *targets,
                       float *loss);

void tlg_widen(int form, long n, const void *x, float *y);
void tlg_widen_rows(int form, long rows, long cols, const void *x, long ldx, float *y, long ldy);
// To the forms of 16 bits.
void tlg_narrow(int form, long n, const float *x, uint16_t *y);
void tlg_narrow_rows(int form, long rows, long cols, const float *x, long ldx, uint16_t *y,
                     long ldy);

#define TLG_MAX_DIMS 6
void tlg_copy_strided(int dims, const int64_t *shape, const float *src, const int64_t *src_strides,
                      float *dst, const int64_t *dst_strides);
