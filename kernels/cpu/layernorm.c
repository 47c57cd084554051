// LayerNorm: scale = sqrt(mean((x - mean)^2) + eps), normalized = (x - mean) / scale,
// y = normalized * w + b. All at once or step by step, with the same bits.
#ifndef TLG_ISA
#include "cpu.h"

#define VALUES_A_UNIT 8192

typedef struct {
    long rows, n, ldx, rows_a_unit;
    const float *x, *w, *b, *in_scale;
    float eps, *y, *normalized, *scale;
} job;

#define TLG_BODY "layernorm.c"
#include "each.h"

static void unit(void *p, long u) {
    job *j = p;
    TLG_PICK(norm_rows)(j, u * j->rows_a_unit, tlg_min((u + 1) * j->rows_a_unit, j->rows));
}

static void run(job *j) {
    if (j->rows <= 0 || j->n <= 0)
        return;
    j->rows_a_unit = tlg_max(1, VALUES_A_UNIT / j->n);
    tlg_for(tlg_ceil(j->rows, j->rows_a_unit), (double)j->rows * j->n / 4, unit, j);
}

void tlg_layernorm(long rows, long n, const float *x, long ldx, float eps, const float *w,
                   const float *b, float *y, float *normalized, float *scale) {
    job j = {.rows = rows, .n = n, .x = x, .ldx = ldx, .eps = eps, .w = w, .b = b, .y = y};
    j.normalized = normalized;
    j.scale = scale;
    run(&j);
}

void tlg_layernorm_normalize(long rows, long n, const float *x, long ldx, const float *scale,
                             float *normalized) {
    job j = {.rows = rows, .n = n, .x = x, .ldx = ldx, .in_scale = scale};
    j.normalized = normalized;
    run(&j);
}

#else

// Four registers of partial sums: sixty-four short chains, summed by halves.
TLG_FN TLG_INLINE float FN(mean)(const float *x, long n) {
    vf s[4] = {v_set1(0), v_set1(0), v_set1(0), v_set1(0)};
    for (long i = 0; i < n; i += 64)
#pragma GCC unroll 4
        for (long q = 0; q < 4; q++)
            s[q] = v_add(s[q], v_loadn(x + i + q * 16, tlg_max(0, n - i - q * 16)));
    return v_sum(v_add(v_add(s[0], s[2]), v_add(s[1], s[3]))) / (float)n;
}

TLG_FN TLG_INLINE float FN(spread)(const float *x, long n, float mean) {
    vf s[4] = {v_set1(0), v_set1(0), v_set1(0), v_set1(0)}, m = v_set1(mean);
    for (long i = 0; i < n; i += 64)
#pragma GCC unroll 4
        for (long q = 0; q < 4; q++) {
            long left = tlg_max(0, n - i - q * 16);
            vf d = v_sub(v_loadn(x + i + q * 16, left), m);
            d = v_sel(v_head(left), d, v_set1(0));
            s[q] = v_fma(d, d, s[q]);
        }
    return v_sum(v_add(v_add(s[0], s[2]), v_add(s[1], s[3]))) / (float)n;
}

TLG_FN static void FN(norm_rows)(const job *j, long r0, long r1) {
    long n = j->n;
    for (long r = r0; r < r1; r++) {
        const float *x = j->x + r * j->ldx;
        float mean = FN(mean)(x, n);
        float scale = j->in_scale ? j->in_scale[r] : sqrtf(FN(spread)(x, n, mean) + j->eps);
        if (j->scale)
            j->scale[r] = scale;
        if (!j->normalized && !j->y)
            continue;
        vf m = v_set1(mean), d = v_set1(scale);
        for (long i = 0; i < n; i += 16) {
            long left = tlg_min(16, n - i);
            vf t = v_div(v_sub(v_loadn(x + i, left), m), d);
            if (j->normalized)
                v_storen(j->normalized + r * n + i, t, left);
            if (!j->y)
                continue;
            if (j->w && j->b)
                t = v_fma(t, v_loadn(j->w + i, left), v_loadn(j->b + i, left));
            else if (j->w)
                t = v_mul(t, v_loadn(j->w + i, left));
            v_storen(j->y + r * n + i, t, left);
        }
    }
}
#endif
