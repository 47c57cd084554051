// Soft cap: cap * tanh(x / cap), element by element.
#ifndef TLG_ISA
#include "cpu.h"
#define TLG_BODY "softcap.c"
#include "each.h"

#define VALUES_A_UNIT 8192

typedef struct {
    long n;
    float cap;
    const float *x;
    float *y;
} job;

static void unit(void *p, long u) {
    job *j = p;
    long i = u * VALUES_A_UNIT;
    TLG_PICK(cap_all)(tlg_min(VALUES_A_UNIT, j->n - i), j->cap, j->x + i, j->y + i);
}

void tlg_softcap(long n, float cap, const float *x, float *y) {
    job j = {n, cap, x, y};
    tlg_for(tlg_ceil(n, VALUES_A_UNIT), (double)n, unit, &j);
}

#else
#include "softcap.h"

TLG_FN static void FN(cap_all)(long n, float cap, const float *x, float *y) {
    for (long i = 0; i < n; i += 16)
        v_storen(y + i, FN(cap)(v_loadn(x + i, n - i), cap), tlg_min(16, n - i));
}
#endif
