// RMSNorm: scale = sqrt(mean(x^2) + eps), normalized = x / scale, y = normalized * w. All at once
// or step by step, with the same bits. The last step, y = normalized * w (+ b), serves LayerNorm
// too.
#ifndef TLG_ISA
#include "cpu.h"

#define VALUES_A_UNIT 8192

typedef struct {
    long rows, n, ldx, rows_a_unit;
    const float *x, *w, *b, *in_scale;
    float eps, *y, *normalized, *scale;
} job;

#define TLG_BODY "rmsnorm.c"
#include "each.h"

static void norm_unit(void *p, long u) {
    job *j = p;
    TLG_PICK(rms_rows)(j, u * j->rows_a_unit, tlg_min((u + 1) * j->rows_a_unit, j->rows));
}

static void affine_unit(void *p, long u) {
    job *j = p;
    TLG_PICK(affine_rows)(j, u * j->rows_a_unit, tlg_min((u + 1) * j->rows_a_unit, j->rows));
}

static void run(job *j, tlg_unit fn) {
    if (j->rows <= 0 || j->n <= 0)
        return;
    j->rows_a_unit = tlg_max(1, VALUES_A_UNIT / j->n);
    tlg_for(tlg_ceil(j->rows, j->rows_a_unit), (double)j->rows * j->n / 5, fn, j);
}

void tlg_rmsnorm(long rows, long n, const float *x, long ldx, float eps, const float *w, float *y,
                 float *normalized, float *scale) {
    job j = {.rows = rows, .n = n, .x = x, .ldx = ldx, .eps = eps, .w = w, .y = y};
    j.normalized = normalized;
    j.scale = scale;
    run(&j, norm_unit);
}

void tlg_rmsnorm_normalize(long rows, long n, const float *x, long ldx, const float *scale,
                           float *normalized) {
    job j = {.rows = rows, .n = n, .x = x, .ldx = ldx, .in_scale = scale};
    j.normalized = normalized;
    run(&j, norm_unit);
}

void tlg_affine(long rows, long n, const float *x, const float *w, const float *b, float *y) {
    job j = {.rows = rows, .n = n, .x = x, .ldx = n, .w = w, .b = b, .y = y};
    run(&j, affine_unit);
}

#else

TLG_FN TLG_INLINE float FN(mean_square)(const float *x, long n) {
    vf s[4] = {v_set1(0), v_set1(0), v_set1(0), v_set1(0)};
    for (long i = 0; i < n; i += 64)
#pragma GCC unroll 4
        for (long q = 0; q < 4; q++) {
            vf d = v_loadn(x + i + q * 16, tlg_max(0, n - i - q * 16));
            s[q] = v_fma(d, d, s[q]);
        }
    return v_sum(v_add(v_add(s[0], s[2]), v_add(s[1], s[3]))) / (float)n;
}

TLG_FN static void FN(rms_rows)(const job *j, long r0, long r1) {
    long n = j->n;
    for (long r = r0; r < r1; r++) {
        const float *x = j->x + r * j->ldx;
        float scale = j->in_scale ? j->in_scale[r] : sqrtf(FN(mean_square)(x, n) + j->eps);
        if (j->scale)
            j->scale[r] = scale;
        if (!j->normalized && !j->y)
            continue;
        vf d = v_set1(scale);
        for (long i = 0; i < n; i += 16) {
            long left = tlg_min(16, n - i);
            vf t = v_div(v_loadn(x + i, left), d);
            if (j->normalized)
                v_storen(j->normalized + r * n + i, t, left);
            if (j->y && j->w)
                t = v_mul(t, v_loadn(j->w + i, left));
            if (j->y)
                v_storen(j->y + r * n + i, t, left);
        }
    }
}

TLG_FN static void FN(affine_rows)(const job *j, long r0, long r1) {
    long n = j->n;
    for (long r = r0; r < r1; r++)
        for (long i = 0; i < n; i += 16) {
            long left = tlg_min(16, n - i);
            vf t = v_loadn(j->x + r * n + i, left);
            if (j->w && j->b)
                t = v_fma(t, v_loadn(j->w + i, left), v_loadn(j->b + i, left));
            else if (j->w)
                t = v_mul(t, v_loadn(j->w + i, left));
            v_storen(j->y + r * n + i, t, left);
        }
}
#endif
