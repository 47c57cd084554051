// Activation functions, alone or times a second tensor (the gated MLPs: act(gate) * up).
//
// gelu and its kin are x times a probability that becomes tiny for negative x. Each is computed
// from exp(-s) with s carried in two floats, so that the small values are as exact as the large
// ones.
#ifndef TLG_ISA
#include "cpu.h"
#define TLG_BODY "activation.c"
#include "each.h"

#define VALUES_A_UNIT 8192

typedef struct {
    int kind;
    long n, ldx, ldu, ldy, pieces;
    const float *x, *up;
    float *y;
} job;

static void unit(void *p, long u) {
    job *j = p;
    long r = u / j->pieces, i = u % j->pieces * VALUES_A_UNIT;
    TLG_PICK(activate)(j->kind, tlg_min(VALUES_A_UNIT, j->n - i), j->x + r * j->ldx + i,
                       j->up ? j->up + r * j->ldu + i : NULL, j->y + r * j->ldy + i);
}

void tlg_activate(int kind, long n, const float *x, float *y) {
    job j = {.kind = kind, .n = n, .pieces = tlg_ceil(n, VALUES_A_UNIT), .x = x, .y = y};
    tlg_for(j.pieces, (double)n, unit, &j);
}

void tlg_activate_mul(int kind, long rows, long n, const float *x, long ldx, const float *up,
                      long ldu, float *y, long ldy) {
    job j = {kind, n, ldx, ldu, ldy, tlg_ceil(n, VALUES_A_UNIT), x, up, y};
    tlg_for(rows * j.pieces, (double)rows * n, unit, &j);
}

#else

// x * p/(1 + e) where p is 1 for x >= 0 and e below: x * sigmoid(s) if e = exp(-|s|).
TLG_FN TLG_INLINE vf FN(times_sigmoid)(vf x, vf e) {
    vf n = v_sel(v_lt(x, v_set1(0)), v_mul(x, e), x);
    return v_div(n, v_add(v_set1(1.f), e));
}

// exp(-(s + l)) for a small correction l of s.
TLG_FN TLG_INLINE vf FN(exp_minus)(vf s, vf l) {
    vf zero = v_set1(0);
    return v_exp2(v_sub(zero, s), v_sub(zero, l));
}

TLG_FN TLG_INLINE vf FN(sigmoid)(vf x) {
    vf e = v_exp(v_sub(v_set1(0), v_abs(x))), one = v_set1(1.f);
    return v_div(v_sel(v_lt(x, v_set1(0)), e, one), v_add(one, e));
}

TLG_FN TLG_INLINE vf FN(silu)(vf x) {
    return FN(times_sigmoid)(x, v_exp(v_sub(v_set1(0), v_abs(x))));
}

TLG_FN TLG_INLINE vf FN(quick_gelu)(vf x) {
    vf a = v_min(v_abs(x), v_set1(100.f)), c = v_set1(1.702f);
    vf s = v_mul(a, c), l = v_fma(a, v_set1(-2.19345093e-08f), v_fma(a, c, v_sub(v_set1(0), s)));
    return FN(times_sigmoid)(x, FN(exp_minus)(s, l));
}

// 0.5 x (1 + tanh u) = x sigmoid(2u), 2u = c0 x + c1 x^3, c0 = 2 sqrt(2/pi), c1 = 0.044715 c0.
TLG_FN TLG_INLINE vf FN(gelu_tanh)(vf x) {
    vf a = v_min(v_abs(x), v_set1(13.f)), zero = v_set1(0);
    vf c0 = v_set1(1.59576917f), c1 = v_set1(0.0713548139f);
    vf q = v_mul(a, a), ql = v_fma(a, a, v_sub(zero, q));
    vf p = v_mul(q, c1), pl = v_fma(q, c1, v_sub(zero, p));
    vf t = v_add(p, c0), part = v_sub(t, p);
    vf tl = v_add(v_sub(p, v_sub(t, part)), v_sub(c0, part)); // what t's rounding lost
    tl = v_add(v_add(tl, pl),
               v_fma(ql, c1, v_fma(q, v_set1(2.39883247e-09f), v_set1(-4.53406805e-08f))));
    vf s = v_mul(t, a), l = v_fma(tl, a, v_fma(t, a, v_sub(zero, s)));
    return FN(times_sigmoid)(x, FN(exp_minus)(s, l));
}

// x Phi(x). With t = |x|, Phi(-t) = exp(-t^2/2) P(u) / (t + 3.5), u = (t - 3.5) / (t + 3.5), P a
// polynomial fitted to 0.5 erfcx(t / sqrt 2) (t + 3.5) over [0, 15].
TLG_FN TLG_INLINE vf FN(gelu)(vf x) {
    vf t = v_min(v_abs(x), v_set1(15.f)), k = v_set1(3.5f), d = v_add(t, k);
    vf u = v_div(v_sub(t, k), d);
    vf p = v_set1(0.000108693239f);
    p = v_fma(p, u, v_set1(0.000418322772f));
    p = v_fma(p, u, v_set1(-0.00049503945f));
    p = v_fma(p, u, v_set1(-0.00317282812f));
    p = v_fma(p, u, v_set1(0.00649372675f));
    p = v_fma(p, u, v_set1(0.017405821f));
    p = v_fma(p, u, v_set1(-0.116053171f));
    p = v_fma(p, u, v_set1(0.315425098f));
    p = v_fma(p, u, v_set1(-0.565561712f));
    p = v_fma(p, u, v_set1(0.744416058f));
    vf h = v_mul(t, t), l = v_fma(t, t, v_sub(v_set1(0), h)), half = v_set1(.5f);
    vf e = FN(exp_minus)(v_mul(h, half), v_mul(l, half));
    vf q = v_div(v_mul(e, p), d);
    return v_mul(x, v_sel(v_lt(x, v_set1(0)), q, v_sub(v_set1(1.f), q)));
}

TLG_FN TLG_INLINE vf FN(relu)(vf x) { return v_sel(v_le(x, v_set1(0)), v_set1(0), x); }

TLG_FN TLG_INLINE vf FN(act)(const int kind, vf x) {
    switch (kind) {
    case TLG_GELU_TANH:
        return FN(gelu_tanh)(x);
    case TLG_GELU:
        return FN(gelu)(x);
    case TLG_SILU:
        return FN(silu)(x);
    case TLG_RELU:
        return FN(relu)(x);
    case TLG_RELU_SQUARED:
        x = FN(relu)(x);
        return v_mul(x, x);
    case TLG_TANH:
        return v_tanh(x);
    case TLG_SIGMOID:
        return FN(sigmoid)(x);
    default:
        return FN(quick_gelu)(x);
    }
}

TLG_FN TLG_INLINE void FN(loop)(const int kind, long n, const float *x, float *y) {
    for (long i = 0; i < n; i += 16) {
        long m = tlg_min(16, n - i);
        v_storen(y + i, FN(act)(kind, v_loadn(x + i, m)), m);
    }
}

#define CASE(k)                                                                                    \
    case k:                                                                                        \
        FN(loop)(k, n, x, y);                                                                      \
        break
TLG_FN static void FN(apply)(int kind, long n, const float *x, float *y) {
    switch (kind) {
        CASE(TLG_GELU_TANH);
        CASE(TLG_GELU);
        CASE(TLG_SILU);
        CASE(TLG_RELU);
        CASE(TLG_RELU_SQUARED);
        CASE(TLG_TANH);
        CASE(TLG_SIGMOID);
        CASE(TLG_QUICK_GELU);
    }
}
#undef CASE

// y may be x or up, so a product goes through a small buffer.
TLG_FN static void FN(activate)(int kind, long n, const float *x, const float *up, float *y) {
    float buf[512];
    if (!up) {
        FN(apply)(kind, n, x, y);
        return;
    }
    for (long i = 0; i < n; i += 512) {
        long m = tlg_min(512, n - i);
        FN(apply)(kind, m, x + i, buf);
        for (long k = 0; k < m; k += 16) {
            long left = tlg_min(16, m - k);
            v_storen(y + i + k, v_mul(v_load(buf + k), v_loadn(up + i + k, left)), left);
        }
    }
}
#endif
