// What is stored in another form to float32, and float32 to bfloat16 and float16. Narrowing rounds
// to nearest, ties to even; a NaN stays one (quiet).
#ifndef TLG_ISA
#include "form.h"
#define TLG_BODY "widen.c"

#define VALUES_A_UNIT 32768

typedef struct {
    int form;
    long n;
    const void *x;
    void *y;
} job;

// Rows of a matrix; its rows lie ldx and ldy apart.
typedef struct {
    int form;
    long rows, cols, rows_a_unit, ldx, ldy;
    const void *x;
    void *y;
} matrix;

TLG_INLINE uint16_t to_bf16(float f) {
    uint32_t u = tlg_bits_of(f);
    if ((u & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

TLG_INLINE uint16_t to_f16(float f) {
    uint32_t u = tlg_bits_of(f), a = u & 0x7fffffff;
    uint16_t sign = (uint16_t)(u >> 16 & 0x8000);
    if (a > 0x7f800000)
        return sign | 0x7e00 | (uint16_t)(a >> 13 & 0x3ff);
    if (a >= 0x477ff000) // 65520 and more round to inf
        return sign | 0x7c00;
    if (a < 0x38800000) // below 2^-14: the sum's own rounding leaves the right low bits
        return sign | (uint16_t)(tlg_bits_of(tlg_float_of(a) + 0.5f) - 0x3f000000);
    return sign | (uint16_t)((a - 0x38000000 + 0xfff + (a >> 13 & 1)) >> 13);
}

#include "each.h"

void tlg_widen_here(int form, long n, const void *x, float *y) { TLG_PICK(widen)(form, n, x, y); }

static void widen_unit(void *p, long u) {
    job *j = p;
    long i = u * VALUES_A_UNIT;
    tlg_widen_here(j->form, tlg_min(VALUES_A_UNIT, j->n - i), tlg_at(j->form, j->x, i),
                   (float *)j->y + i);
}

static void narrow_unit(void *p, long u) {
    job *j = p;
    long i = u * VALUES_A_UNIT;
    TLG_PICK(narrow)(j->form, tlg_min(VALUES_A_UNIT, j->n - i), (const float *)j->x + i,
                     (uint16_t *)j->y + i);
}

static void widen_rows_unit(void *p, long u) {
    matrix *m = p;
    for (long r = u * m->rows_a_unit; r < tlg_min((u + 1) * m->rows_a_unit, m->rows); r++)
        tlg_widen_here(m->form, m->cols, tlg_at(m->form, m->x, r * m->ldx),
                       (float *)m->y + r * m->ldy);
}

static void narrow_rows_unit(void *p, long u) {
    matrix *m = p;
    for (long r = u * m->rows_a_unit; r < tlg_min((u + 1) * m->rows_a_unit, m->rows); r++)
        TLG_PICK(narrow)(m->form, m->cols, (const float *)m->x + r * m->ldx,
                         (uint16_t *)m->y + r * m->ldy);
}

static void each_row(matrix *m, tlg_unit fn) {
    m->rows_a_unit = tlg_max(1, VALUES_A_UNIT / tlg_max(1, m->cols));
    tlg_for(tlg_ceil(m->rows, m->rows_a_unit), (double)m->rows * m->cols / 3, fn, m);
}

void tlg_widen_rows(int form, long rows, long cols, const void *x, long ldx, float *y, long ldy) {
    matrix m = {.form = form, .rows = rows, .cols = cols, .ldx = ldx, .ldy = ldy, .x = x, .y = y};
    each_row(&m, widen_rows_unit);
}

void tlg_narrow_rows(int form, long rows, long cols, const float *x, long ldx, uint16_t *y,
                     long ldy) {
    matrix m = {.form = form, .rows = rows, .cols = cols, .ldx = ldx, .ldy = ldy, .x = x, .y = y};
    each_row(&m, narrow_rows_unit);
}

void tlg_widen(int form, long n, const void *x, float *y) {
    job j = {form, n, x, y};
    tlg_for(tlg_ceil(n, VALUES_A_UNIT), (double)n / 3, widen_unit, &j);
}

void tlg_narrow(int form, long n, const float *x, uint16_t *y) {
    job j = {form, n, x, y};
    tlg_for(tlg_ceil(n, VALUES_A_UNIT), (double)n / 3, narrow_unit, &j);
}

#else
#include "widen_lanes.h"

TLG_FN static void FN(widen_blocks)(int form, long n, const uint8_t *p, float *y) {
    for (; n > 0; n -= TLG_BLOCK, p += tlg_bytes(form, TLG_BLOCK), y += TLG_BLOCK) {
        const float d = tlg_f16_at(p);
        if (form == TLG_Q8_0) {
            for (int i = 0; i < TLG_BLOCK; i++)
                y[i] = d * (float)(int8_t)p[2 + i];
            continue;
        }
        const float m = tlg_f16_at(p + 2);
        for (int i = 0; i < TLG_BLOCK / 2; i++) {
            float low = d * (float)(p[4 + i] & 15), high = d * (float)(p[4 + i] >> 4);
            y[i] = low + m;
            y[i + TLG_BLOCK / 2] = high + m;
        }
    }
}

TLG_FN TLG_INLINE void FN(widen_numbers)(const int form, long n, const void *x, float *y) {
    for (long i = 0; i < n; i += 16)
        v_storen(y + i, FN(lanes_n)(form, tlg_at(form, x, i), n - i), n - i);
}

TLG_FN static void FN(widen)(int form, long n, const void *x, float *y) {
    if (form == TLG_F32)
        memcpy(y, x, (size_t)n * sizeof *y);
    else if (tlg_blocked(form))
        FN(widen_blocks)(form, n, x, y);
    else
        TLG_EACH_DENSE_FORM(form, FN(widen_numbers)(FORM, n, x, y));
}

// The loop to bfloat16 is simple enough for the compiler to vectorise; float16 has instructions.
TLG_FN static void FN(narrow)(int form, long n, const float *x, uint16_t *y) {
    long i = 0;
    if (form == TLG_BF16) {
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
