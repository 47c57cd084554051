// Sums and products of whole tensors.
#ifndef TLG_ISA
#include "cpu.h"

#define VALUES_A_UNIT 16384

enum { ADD, MUL, SCALE };

#define TLG_BODY "elementwise.c"
#include "each.h"

typedef struct {
    int kind;
    long n;
    const float *a, *b;
    float s, *c;
    long lda, ldc; // add_rows
} job;

static void unit(void *p, long u) {
    job *j = p;
    long i = u * VALUES_A_UNIT, n = tlg_min(VALUES_A_UNIT, j->n - i);
    TLG_PICK(combine)(j->kind, n, j->a + i, j->b ? j->b + i : NULL, j->s, j->c + i);
}

static void run(job *j) { tlg_for(tlg_ceil(j->n, VALUES_A_UNIT), (double)j->n / 2, unit, j); }

void tlg_add(long n, const float *a, const float *b, float *c) {
    job j = {.kind = ADD, .n = n, .a = a, .b = b, .c = c};
    run(&j);
}

void tlg_mul(long n, const float *a, const float *b, float *c) {
    job j = {.kind = MUL, .n = n, .a = a, .b = b, .c = c};
    run(&j);
}

void tlg_scale(long n, float s, const float *a, float *c) {
    job j = {.kind = SCALE, .n = n, .a = a, .s = s, .c = c};
    run(&j);
}

static void row_unit(void *p, long r) {
    job *j = p;
    TLG_PICK(combine)(ADD, j->n, j->a + r * j->lda, j->b, 0, j->c + r * j->ldc);
}

void tlg_add_rows(long rows, long n, const float *a, long lda, const float *row, float *c,
                  long ldc) {
    job j = {.n = n, .a = a, .b = row, .c = c, .lda = lda, .ldc = ldc};
    tlg_for(rows, (double)rows * n / 2, row_unit, &j);
}

void tlg_add_here(long n, float *c, const float *a) { TLG_PICK(combine)(ADD, n, c, a, 0, c); }

#else

TLG_FN static void FN(combine)(int kind, long n, const float *a, const float *b, float s,
                               float *c) {
    vf f = v_set1(s);
    for (long i = 0; i < n; i += 16) {
        long m = tlg_min(16, n - i);
        vf x = v_loadn(a + i, m);
        x = kind == SCALE ? v_mul(x, f)
            : kind == ADD ? v_add(x, v_loadn(b + i, m))
                          : v_mul(x, v_loadn(b + i, m));
        v_storen(c + i, x, m);
    }
}
#endif
