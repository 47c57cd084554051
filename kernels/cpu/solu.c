// SoLU: x * softmax(x) along each row. Its softmax is the pattern's own row code.
#ifndef TLG_ISA
#include "cpu.h"
#define TLG_BODY "solu.c"
#include "each.h"

#define VALUES_A_UNIT 8192

typedef struct {
    long rows, n, rows_a_unit;
    const float *x;
    float *y;
} job;

static void unit(void *p, long u) {
    job *j = p;
    long end = tlg_min((u + 1) * j->rows_a_unit, j->rows);
    for (long r = u * j->rows_a_unit; r < end; r++)
        TLG_PICK(solu_row)(j->n, j->x + r * j->n, j->y + r * j->n);
}

void tlg_solu(long rows, long n, const float *x, float *y) {
    if (n <= 0)
        return;
    job j = {rows, n, tlg_max(1, VALUES_A_UNIT / n), x, y};
    tlg_for(tlg_ceil(rows, j.rows_a_unit), (double)rows * n, unit, &j);
}

#else
#include "softmax.h"

// y must not be x.
TLG_FN static void FN(solu_row)(long n, const float *x, float *y) {
    // Nothing lies outside [0, n), so x is not written to.
    tlg_row r = FN(softmax_row)(n, 0, n, 0, (float *)x, y);
    for (long i = 0; i < n; i++)
        if (i < r.first || i >= r.end)
            y[i] = r.outside;
    for (long i = 0; i < n; i += 16)
        v_storen(y + i, v_mul(v_loadn(x + i, n - i), v_loadn(y + i, n - i)), tlg_min(16, n - i));
}
#endif
