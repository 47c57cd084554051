// bfloat16 and float16 to float32 and back. Narrowing rounds to nearest, ties to even; a NaN stays
// one (quiet).
#ifndef TLG_ISA
#include "cpu.h"
#define TLG_BODY "widen.c"

#define VALUES_A_UNIT 32768

typedef struct {
    int kind;
    long n;
    const void *x;
    void *y;
} job;

// Rows of a matrix; its rows lie ldx and ldy apart.
typedef struct {
    int kind;
    long rows, cols, rows_a_unit, ldx, ldy;
    const void *x;
    void *y;
} matrix;

TLG_INLINE float float_of(uint32_t u) {
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}
TLG_INLINE uint32_t bits_of(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

TLG_INLINE float from_bf16(uint16_t h) { return float_of((uint32_t)h << 16); }

TLG_INLINE uint16_t to_bf16(float f) {
    uint32_t u = bits_of(f);
    if ((u & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

TLG_INLINE float from_f16(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, e = h >> 10 & 31, m = h & 0x3ff;
    if (e == 31)
        return float_of(sign | 0x7f800000 | m << 13 | (m ? 0x400000 : 0));
    if (e)
        return float_of(sign | (e + 112) << 23 | m << 13);
    float tiny = (float)m * 0x1p-24f;
    return float_of(sign | bits_of(tiny));
}

TLG_INLINE uint16_t to_f16(float f) {
    uint32_t u = bits_of(f), a = u & 0x7fffffff;
    uint16_t sign = (uint16_t)(u >> 16 & 0x8000);
    if (a > 0x7f800000)
        return sign | 0x7e00 | (uint16_t)(a >> 13 & 0x3ff);
    if (a >= 0x477ff000) // 65520 and more round to inf
        return sign | 0x7c00;
    if (a < 0x38800000) // below 2^-14: the sum's own rounding leaves the right low bits
        return sign | (uint16_t)(bits_of(float_of(a) + 0.5f) - 0x3f000000);
    return sign | (uint16_t)((a - 0x38000000 + 0xfff + (a >> 13 & 1)) >> 13);
}

#include "each.h"

static void widen_unit(void *p, long u) {
    job *j = p;
    long i = u * VALUES_A_UNIT;
    TLG_PICK(widen)(j->kind, tlg_min(VALUES_A_UNIT, j->n - i), (const uint16_t *)j->x + i,
                    (float *)j->y + i);
}

static void narrow_unit(void *p, long u) {
    job *j = p;
    long i = u * VALUES_A_UNIT;
    TLG_PICK(narrow)(j->kind, tlg_min(VALUES_A_UNIT, j->n - i), (const float *)j->x + i,
                     (uint16_t *)j->y + i);
}

static void widen_rows_unit(void *p, long u) {
    matrix *m = p;
    for (long r = u * m->rows_a_unit; r < tlg_min((u + 1) * m->rows_a_unit, m->rows); r++)
        TLG_PICK(widen)(m->kind, m->cols, (const uint16_t *)m->x + r * m->ldx,
                        (float *)m->y + r * m->ldy);
}

static void narrow_rows_unit(void *p, long u) {
    matrix *m = p;
    for (long r = u * m->rows_a_unit; r < tlg_min((u + 1) * m->rows_a_unit, m->rows); r++)
        TLG_PICK(narrow)(m->kind, m->cols, (const float *)m->x + r * m->ldx,
                         (uint16_t *)m->y + r * m->ldy);
}

static void each_row(matrix *m, tlg_unit fn) {
    m->rows_a_unit = tlg_max(1, VALUES_A_UNIT / tlg_max(1, m->cols));
    tlg_for(tlg_ceil(m->rows, m->rows_a_unit), (double)m->rows * m->cols / 3, fn, m);
}

void tlg_widen_rows(int kind, long rows, long cols, const uint16_t *x, long ldx, float *y,
                    long ldy) {
    matrix m = {.kind = kind, .rows = rows, .cols = cols, .ldx = ldx, .ldy = ldy, .x = x, .y = y};
    each_row(&m, widen_rows_unit);
}

void tlg_narrow_rows(int kind, long rows, long cols, const float *x, long ldx, uint16_t *y,
                     long ldy) {
    matrix m = {.kind = kind, .rows = rows, .cols = cols, .ldx = ldx, .ldy = ldy, .x = x, .y = y};
    each_row(&m, narrow_rows_unit);
}

void tlg_widen(int kind, long n, const uint16_t *x, float *y) {
    job j = {kind, n, x, y};
    tlg_for(tlg_ceil(n, VALUES_A_UNIT), (double)n / 3, widen_unit, &j);
}

void tlg_narrow(int kind, long n, const float *x, uint16_t *y) {
    job j = {kind, n, x, y};
    tlg_for(tlg_ceil(n, VALUES_A_UNIT), (double)n / 3, narrow_unit, &j);
}

#else

// The bfloat16 loops are simple enough for the compiler to vectorise; float16 has instructions.
TLG_FN static void FN(widen)(int kind, long n, const uint16_t *x, float *y) {
    long i = 0;
    if (kind == TLG_BF16) {
        for (; i < n; i++)
            y[i] = from_bf16(x[i]);
        return;
    }
#if TLG_ISA != TLG_ISA_PLAIN
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(x + i))));
#endif
    for (; i < n; i++)
        y[i] = from_f16(x[i]);
}

TLG_FN static void FN(narrow)(int kind, long n, const float *x, uint16_t *y) {
    long i = 0;
    if (kind == TLG_BF16) {
        for (; i < n; i++)
            y[i] = to_bf16(x[i]);
        return;
    }
#if TLG_ISA != TLG_ISA_PLAIN
    for (; i + 8 <= n; i += 8)
        _mm_storeu_si128(
            (__m128i *)(y + i),
            _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
#endif
    for (; i < n; i++)
        y[i] = to_f16(x[i]);
}
#endif
