// Rotary position embedding. Each product is rounded, then the sum, as in x*cos + rotate(x)*sin.
#ifndef TLG_ISA
#include "cpu.h"

typedef struct {
    long pos, heads, dim, rotary, table_batch, table_pos;
    int adjacent;
    const float *x, *cosines, *sines;
    tlg_strides xs, ys;
    float *y;
} job;

#define TLG_BODY "rope.c"
#include "each.h"

// All heads of one position.
static void unit(void *p, long u) {
    const job *j = p;
    long b = u / j->pos, i = u % j->pos;
    const float *x = j->x + b * j->xs.batch + i * j->xs.pos;
    float *y = j->y + b * j->ys.batch + i * j->ys.pos;
    long t = b * j->table_batch + i * j->table_pos;
    for (long h = 0; h < j->heads; h++)
        TLG_PICK(rotate)(j, x + h * j->xs.head, j->cosines + t, j->sines + t, y + h * j->ys.head);
}

void tlg_rope(long batch, long pos, long heads, long dim, long rotary, int adjacent, const float *x,
              const tlg_strides *xs, const float *cosines, const float *sines, long table_batch,
              long table_pos, float *y, const tlg_strides *ys) {
    job j = {pos, heads,   dim,   rotary, table_batch, table_pos, adjacent,
             x,   cosines, sines, *xs,    *ys,         y};
    tlg_for(batch * pos, (double)batch * pos * heads * dim / 3, unit, &j);
}

typedef struct {
    long half;
    const float *inv_freq;
    const int64_t *positions;
    float divisor, scaling, *cosines, *sines;
    int adjacent;
} table;

static void table_row(void *p, long i) {
    table *t = p;
    float *c = t->cosines + i * 2 * t->half, *s = t->sines + i * 2 * t->half;
    for (long k = 0; k < t->half; k++) {
        float angle = (float)t->positions[i] / t->divisor * t->inv_freq[k];
        float cv = (float)cos((double)angle) * t->scaling;
        float sv = (float)sin((double)angle) * t->scaling;
        long a = t->adjacent ? 2 * k : k, b = t->adjacent ? 2 * k + 1 : t->half + k;
        c[a] = c[b] = cv;
        s[a] = s[b] = sv;
    }
}

void tlg_rope_table(long n, long half, const float *inv_freq, const int64_t *positions,
                    float divisor, float scaling, int adjacent, float *cosines, float *sines) {
    table t = {half, inv_freq, positions, divisor, scaling, cosines, sines, adjacent};
    tlg_for(n, (double)n * half * 60, table_row, &t);
}

#else

// One head of one position; y may be x.
TLG_FN static void FN(rotate)(const job *j, const float *x, const float *c, const float *s,
                              float *y) {
    long half = j->rotary / 2;
    if (j->adjacent) {
        for (long i = 0; i < half; i++) {
            float a = x[2 * i], b = x[2 * i + 1];
            y[2 * i] = a * c[2 * i] + -b * s[2 * i];
            y[2 * i + 1] = b * c[2 * i + 1] + a * s[2 * i + 1];
        }
    } else {
        for (long i = 0; i < half; i += 16) {
            long n = tlg_min(16, half - i);
            vf a = v_loadn(x + i, n), b = v_loadn(x + half + i, n);
            vf p = v_sub(v_mul(a, v_loadn(c + i, n)), v_mul(b, v_loadn(s + i, n)));
            vf q = v_add(v_mul(b, v_loadn(c + half + i, n)), v_mul(a, v_loadn(s + half + i, n)));
            v_storen(y + i, p, n);
            v_storen(y + half + i, q, n);
        }
    }
    if (y != x)
        memcpy(y + j->rotary, x + j->rotary, (size_t)(j->dim - j->rotary) * sizeof *y);
}
#endif
