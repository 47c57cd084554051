// Softmax over the last axis of scores that a user may have edited.
#ifndef TLG_ISA
#include "cpu.h"
#define TLG_BODY "softmax.c"
#include "each.h"

#define ROWS_A_UNIT 16

typedef struct {
    long rows, n;
    int zero;
    const float *s;
    float *p;
} job;

static void unit(void *v, long u) {
    job *j = v;
    long end = tlg_min((u + 1) * ROWS_A_UNIT, j->rows);
    for (long i = u * ROWS_A_UNIT; i < end; i++)
        TLG_PICK(whole_row)(j->n, j->zero, j->s + i * j->n, j->p + i * j->n);
}

void tlg_softmax(long rows, long n, int zero_masked, const float *scores, float *pattern) {
    job j = {rows, n, zero_masked, scores, pattern};
    if (n > 0)
        tlg_for(tlg_ceil(rows, ROWS_A_UNIT), (double)rows * n, unit, &j);
}

#else
#include "softmax.h"

TLG_FN static void FN(whole_row)(long n, int zero, const float *s, float *p) {
    // Nothing lies outside [0, n), so the scores are not written to.
    tlg_row r = FN(softmax_row)(n, 0, n, zero, (float *)s, p);
    vf o = v_set1(r.outside);
    for (long j = 0; j < r.first; j += 16)
        v_storen(p + j, o, tlg_min(16, r.first - j));
    for (long j = r.end; j < n; j += 16)
        v_storen(p + j, o, tlg_min(16, n - j));
}
#endif
