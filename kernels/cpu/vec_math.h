// exp and tanh on sixteen lanes. NaN and inf propagate; the bits are the same in every variant.
#include "cpu.h"

#undef TLG_MATH // in plain C these are long: once each is enough
#if TLG_ISA == TLG_ISA_PLAIN
#define TLG_MATH static __attribute__((noinline, unused))
#else
#define TLG_MATH TLG_FN TLG_INLINE
#endif

// e^(x + l) for a correction l of x far below it in size, by Cody and Waite's reduction and a
// polynomial of degree 7; about 1 ulp.
TLG_MATH vf v_exp2(vf x, vf l) {
    vf c = v_min(v_max(x, v_set1(-150.f)), v_set1(130.f)); // past these the answer is 0 or inf
    vf n = v_round(v_mul(c, v_set1(1.44269504088896341f)));
    vf r = v_fnma(n, v_set1(0.693359375f), c);
    r = v_add(v_fnma(n, v_set1(-2.12194440e-4f), r), l);
    vf p = v_set1(1.9841270e-4f);
    p = v_fma(p, r, v_set1(1.3888889e-3f));
    p = v_fma(p, r, v_set1(8.3333333e-3f));
    p = v_fma(p, r, v_set1(4.1666667e-2f));
    p = v_fma(p, r, v_set1(1.6666667e-1f));
    p = v_fma(p, r, v_set1(.5f));
    p = v_fma(p, v_mul(r, r), r);
    p = v_scale2(v_add(p, v_set1(1.f)), n);
    return v_sel(v_nan(x), x, p);
}

TLG_FN TLG_INLINE vf v_exp(vf x) { return v_exp2(x, v_set1(0)); }

// An odd polynomial below 0.625, 1 - 2/(e^2x + 1) above.
TLG_MATH vf v_tanh(vf x) {
    vf a = v_abs(x), z = v_mul(x, x);
    vf p = v_set1(-5.70498872745E-3f);
    p = v_fma(p, z, v_set1(2.06390887954E-2f));
    p = v_fma(p, z, v_set1(-5.37397155531E-2f));
    p = v_fma(p, z, v_set1(1.33314422036E-1f));
    p = v_fma(p, z, v_set1(-3.33332819422E-1f));
    p = v_fma(v_mul(p, z), x, x);
    vf e = v_exp(v_add(a, a)), one = v_set1(1.f);
    vf t = v_sub(one, v_div(v_set1(2.f), v_add(e, one)));
    return v_sel(v_lt(a, v_set1(.625f)), p, v_sign(t, x));
}
