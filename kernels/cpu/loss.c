// Cross entropy of one target a row: -log softmax(logits)[target], the sum in float64.
#ifndef TLG_ISA
#include "cpu.h"
#define TLG_BODY "loss.c"
#include "each.h"

typedef struct {
    long n, ldl;
    const float *logits;
    const int64_t *targets;
    float *loss;
} job;

static void unit(void *p, long r) {
    job *j = p;
    const float *x = j->logits + r * j->ldl;
    j->loss[r] = TLG_PICK(cross_entropy)(x, j->n, x[j->targets[r]]);
}

void tlg_cross_entropy(long rows, long n, const float *logits, long ldl, const int64_t *targets,
                       float *loss) {
    job j = {n, ldl, logits, targets, loss};
    tlg_for(rows, (double)rows * n, unit, &j);
}

#else

TLG_FN static float FN(cross_entropy)(const float *x, long n, float target) {
    vf lowest = v_set1(-INFINITY), top = lowest;
    for (long i = 0; i < n; i += 16)
        top = v_max(v_sel(v_head(n - i), v_loadn(x + i, n - i), lowest), top);
    float most = v_top(top);
    vf m = v_set1(most);
    vd sum = vd_zero();
    for (long i = 0; i < n; i += 16) {
        vf e = v_exp(v_sub(v_loadn(x + i, n - i), m));
        sum = vd_addf(sum, v_sel(v_head(n - i), e, v_set1(0)));
    }
    return (float)(log(vd_sum(sum)) - ((double)target - most));
}
#endif
