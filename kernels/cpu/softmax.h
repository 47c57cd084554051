// Softmax of one row, shared by the kernel of that name and by fused attention, so that both give
// the same bits. Included once per instruction set.
//
// The sum runs over sixteen lanes anchored at the first key that is not masked: what is masked on
// either side changes nothing, so a row does not depend on left padding or on the key length.
#include "vec.h"

#ifndef TLG_MASKED
#define TLG_MASKED (-FLT_MAX) // what a masked score holds
typedef struct {
    long first, end; // outside of these every probability is `outside`
    float outside;   // 0, or NaN where the row has no sum
} tlg_row;
#endif

// The first and one past the last score in [lo, hi) that is not masked; first == end if none.
TLG_FN TLG_INLINE tlg_row FN(unmasked)(const float *s, long lo, long hi) {
    vf masked = v_set1(TLG_MASKED);
    tlg_row r = {hi, hi, 0};
    for (long j = lo; j < hi; j += 16) {
        uint32_t real = ~v_bits(v_le(v_loadn(s + j, hi - j), masked)) & v_bits(v_head(hi - j));
        if (real) {
            r.first = j + __builtin_ctz(real);
            break;
        }
    }
    if (r.first == hi)
        return r;
    for (long j = hi; j > r.first; j -= 16) {
        long a = j - 16 > r.first ? j - 16 : r.first;
        uint32_t real = ~v_bits(v_le(v_loadn(s + a, j - a), masked)) & v_bits(v_head(j - a));
        if (real) {
            r.end = a + 32 - __builtin_clz(real);
            break;
        }
    }
    return r;
}

// A row of nothing but masked scores: -FLT_MAX shares equally, -inf gets nothing, and a row of -inf
// alone is NaN. With `zero`, -FLT_MAX gets 0 and -inf NaN: what is masked is out of the sum, as
// where scores are masked with -inf and the pattern with 0. p may be s.
TLG_FN static tlg_row FN(softmax_masked)(long n, int zero, const float *s, float *p) {
    long count = 0;
    for (long j = 0; j < n; j++)
        count += s[j] == TLG_MASKED;
    float share = zero ? 0 : 1.f / (float)count, none = count && !zero ? 0 : NAN;
    for (long j = 0; j < n; j++)
        p[j] = s[j] == TLG_MASKED ? share : none;
    tlg_row r = {0, n, 0};
    return r;
}

// Probabilities of scores [lo, hi) of a row of n of which the rest is masked. Only [first, end) of
// p is written, unless the whole row is masked. p may be s.
TLG_FN TLG_INLINE tlg_row FN(softmax_row)(long n, long lo, long hi, int zero, float *s, float *p) {
    tlg_row r = FN(unmasked)(s, lo, hi);
    if (r.first == r.end) {
        for (long j = 0; j < lo; j++)
            s[j] = TLG_MASKED;
        for (long j = hi; j < n; j++)
            s[j] = TLG_MASKED;
        return FN(softmax_masked)(n, zero, s, p);
    }
    long len = r.end - r.first;
    s += r.first;
    p += r.first;
    vf lowest = v_set1(-INFINITY), top = lowest, sum = v_set1(0);
    for (long j = 0; j < len; j += 16) {
        vf x = v_loadn(s + j, len - j);
        top = v_max(v_sel(v_head(len - j), x, lowest), top);
    }
    vf m = v_set1(v_top(top));
    for (long j = 0; j < len; j += 16) {
        vf e = v_exp(v_sub(v_loadn(s + j, len - j), m));
        e = v_sel(v_head(len - j), e, v_set1(0));
        sum = v_add(sum, e);
        v_storen(p + j, e, len - j);
    }
    float total = v_sum(sum);
    vf d = v_set1(total);
    for (long j = 0; j < len; j += 16)
        v_storen(p + j, v_div(v_loadn(p + j, len - j), d), len - j);
    r.outside = total == total ? 0 : NAN;
    return r;
}
