// Lane operations on AVX2 and FMA: two registers of eight.
#include "vec_x86.h"

#define V TLG_FN TLG_INLINE

typedef struct {
    __m256 a, b;
} vf;
typedef struct {
    __m256d d[4];
} vd;
typedef struct {
    __m256i a, b;
} vi;
typedef struct {
    __m256 a, b;
} vm;

V vf FN(mk)(__m256 a, __m256 b) {
    vf r = {a, b};
    return r;
}
// Lanes below n, as a blend or load mask.
V __m256i FN(below)(long n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

V vf v_set1(float x) { return FN(mk)(_mm256_set1_ps(x), _mm256_set1_ps(x)); }
V vf v_load(const float *p) { return FN(mk)(_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)); }
V vf v_loadn(const float *p, long n) {
    if (n >= 16)
        return v_load(p);
    return FN(mk)(_mm256_maskload_ps(p, FN(below)(n)), _mm256_maskload_ps(p + 8, FN(below)(n - 8)));
}
V __m256 FN(from_bf16)(const uint16_t *p) {
    __m256i u = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(u, 16));
}
V vf v_load_bf16(const uint16_t *p) { return FN(mk)(FN(from_bf16)(p), FN(from_bf16)(p + 8)); }
V vf v_load_f16(const uint16_t *p) {
    return FN(mk)(_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)),
                  _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p + 8))));
}
V void v_store(float *p, vf x) {
    _mm256_storeu_ps(p, x.a);
    _mm256_storeu_ps(p + 8, x.b);
}
V void v_storen(float *p, vf x, long n) {
    if (n >= 16) {
        v_store(p, x);
        return;
    }
    _mm256_maskstore_ps(p, FN(below)(n), x.a);
    _mm256_maskstore_ps(p + 8, FN(below)(n - 8), x.b);
}
V vf v_add(vf x, vf y) { return FN(mk)(_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)); }
V vf v_sub(vf x, vf y) { return FN(mk)(_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)); }
V vf v_mul(vf x, vf y) { return FN(mk)(_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)); }
V vf v_div(vf x, vf y) { return FN(mk)(_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)); }
V vf v_fma(vf x, vf y, vf z) {
    return FN(mk)(_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b));
}
V vf v_fnma(vf x, vf y, vf z) {
    return FN(mk)(_mm256_fnmadd_ps(x.a, y.a, z.a), _mm256_fnmadd_ps(x.b, y.b, z.b));
}
V vf v_max(vf x, vf y) { return FN(mk)(_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)); }
V vf v_min(vf x, vf y) { return FN(mk)(_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)); }
V vf v_round(vf x) {
    return FN(mk)(_mm256_round_ps(x.a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
                  _mm256_round_ps(x.b, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
V vf v_abs(vf x) {
    __m256 s = _mm256_set1_ps(-0.f);
    return FN(mk)(_mm256_andnot_ps(s, x.a), _mm256_andnot_ps(s, x.b));
}
V vf v_sign(vf x, vf y) {
    __m256 s = _mm256_set1_ps(-0.f);
    return FN(mk)(_mm256_or_ps(_mm256_andnot_ps(s, x.a), _mm256_and_ps(s, y.a)),
                  _mm256_or_ps(_mm256_andnot_ps(s, x.b), _mm256_and_ps(s, y.b)));
}
V __m256 FN(scale2)(__m256 p, __m256 n) {
    __m256i e = _mm256_cvtps_epi32(n), e1 = _mm256_srai_epi32(e, 1), e2 = _mm256_sub_epi32(e, e1);
    __m256i bias = _mm256_set1_epi32(127);
    e1 = _mm256_slli_epi32(_mm256_add_epi32(e1, bias), 23);
    e2 = _mm256_slli_epi32(_mm256_add_epi32(e2, bias), 23);
    return _mm256_mul_ps(_mm256_mul_ps(p, _mm256_castsi256_ps(e1)), _mm256_castsi256_ps(e2));
}
V vf v_scale2(vf p, vf n) { return FN(mk)(FN(scale2)(p.a, n.a), FN(scale2)(p.b, n.b)); }
V vm FN(mkm)(__m256 a, __m256 b) {
    vm r = {a, b};
    return r;
}
V vm v_lt(vf x, vf y) {
    return FN(mkm)(_mm256_cmp_ps(x.a, y.a, _CMP_LT_OQ), _mm256_cmp_ps(x.b, y.b, _CMP_LT_OQ));
}
V vm v_le(vf x, vf y) {
    return FN(mkm)(_mm256_cmp_ps(x.a, y.a, _CMP_LE_OQ), _mm256_cmp_ps(x.b, y.b, _CMP_LE_OQ));
}
V vm v_nan(vf x) {
    return FN(mkm)(_mm256_cmp_ps(x.a, x.a, _CMP_UNORD_Q), _mm256_cmp_ps(x.b, x.b, _CMP_UNORD_Q));
}
V vm v_head(long n) {
    return FN(mkm)(_mm256_castsi256_ps(FN(below)(n)), _mm256_castsi256_ps(FN(below)(n - 8)));
}
V vf v_sel(vm m, vf x, vf y) {
    return FN(mk)(_mm256_blendv_ps(y.a, x.a, m.a), _mm256_blendv_ps(y.b, x.b, m.b));
}
V uint32_t v_bits(vm m) {
    return (uint32_t)_mm256_movemask_ps(m.a) | (uint32_t)_mm256_movemask_ps(m.b) << 8;
}
V float v_sum(vf x) {
    __m256 h = _mm256_add_ps(x.a, x.b);
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}
V float v_top(vf x) {
    __m256 h = _mm256_max_ps(x.a, x.b);
    __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_max_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}
V void FN(tr8)(const float *s, long lds, float *d, long ldd) {
    __m256 r[8], t[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
        r[i] = _mm256_loadu_ps(s + i * lds);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
        r[4 * i] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
        r[4 * i + 1] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xee);
        r[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
        r[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xee);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        _mm256_storeu_ps(d + i * ldd, _mm256_permute2f128_ps(r[i], r[4 + i], 0x20));
        _mm256_storeu_ps(d + (4 + i) * ldd, _mm256_permute2f128_ps(r[i], r[4 + i], 0x31));
    }
}
V void v_tr16(const float *s, long lds, float *d, long ldd) {
    FN(tr8)(s, lds, d, ldd);
    FN(tr8)(s + 8, lds, d + 8 * ldd, ldd);
    FN(tr8)(s + 8 * lds, lds, d + 8, ldd);
    FN(tr8)(s + 8 * lds + 8, lds, d + 8 * ldd + 8, ldd);
}
V vi FN(mki)(__m256i a, __m256i b) {
    vi r = {a, b};
    return r;
}
// Rows p and p + 4*step.
V __m256i FN(two_rows)(const uint8_t *p, long step) {
    __m128i a = _mm_loadu_si128((const __m128i *)p);
    __m128i b = _mm_loadu_si128((const __m128i *)(p + 4 * step));
    return _mm256_inserti128_si256(_mm256_castsi128_si256(a), b, 1);
}
V void FN(turn8)(const uint8_t *p, long step, __m256i *w) {
    __m256i a = FN(two_rows)(p, step), b = FN(two_rows)(p + step, step);
    __m256i c = FN(two_rows)(p + 2 * step, step), d = FN(two_rows)(p + 3 * step, step);
    __m256i e = _mm256_unpacklo_epi32(a, b), f = _mm256_unpacklo_epi32(c, d);
    __m256i g = _mm256_unpackhi_epi32(a, b), h = _mm256_unpackhi_epi32(c, d);
    w[0] = _mm256_unpacklo_epi64(e, f);
    w[1] = _mm256_unpackhi_epi64(e, f);
    w[2] = _mm256_unpacklo_epi64(g, h);
    w[3] = _mm256_unpackhi_epi64(g, h);
}
V void v_turn_words(const uint8_t *p, long step, vi *w) {
    __m256i a[4], b[4];
    FN(turn8)(p, step, a);
    FN(turn8)(p + 8 * step, step, b);
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++)
        w[c] = FN(mki)(a[c], b[c]);
}
V vi v_low4(vi w) {
    __m256i low = _mm256_set1_epi8(15);
    return FN(mki)(_mm256_and_si256(w.a, low), _mm256_and_si256(w.b, low));
}
V vi v_high4(vi w) { return v_low4(FN(mki)(_mm256_srli_epi16(w.a, 4), _mm256_srli_epi16(w.b, 4))); }
// Byte j of each word, moved to place `to` of it; the others 0.
V vi FN(pick)(vi w, long j, int to) {
    __m256i lanes = _mm256_setr_epi32(0, 4, 8, 12, 0, 4, 8, 12);
    __m256i from = _mm256_add_epi32(lanes, _mm256_set1_epi32((int)j));
    from = to ? _mm256_or_si256(_mm256_slli_epi32(from, 24), _mm256_set1_epi32(0x808080))
              : _mm256_or_si256(from, _mm256_set1_epi32((int)0x80808000));
    return FN(mki)(_mm256_shuffle_epi8(w.a, from), _mm256_shuffle_epi8(w.b, from));
}
V vf FN(integers)(vi w) { return FN(mk)(_mm256_cvtepi32_ps(w.a), _mm256_cvtepi32_ps(w.b)); }
V vf v_byte(vi w, long j) { return FN(integers)(FN(pick)(w, j, 0)); }
V vf v_top_byte(vi w, long j) { return FN(integers)(FN(pick)(w, j, 3)); }
V vf FN(as_floats)(__m256i a, __m256i b) {
    return FN(mk)(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b));
}
V vf v_low_bf16(vi w) {
    return FN(as_floats)(_mm256_slli_epi32(w.a, 16), _mm256_slli_epi32(w.b, 16));
}
V vf v_high_bf16(vi w) {
    __m256i high = _mm256_set1_epi32((int)0xffff0000);
    return FN(as_floats)(_mm256_and_si256(w.a, high), _mm256_and_si256(w.b, high));
}
// Words below 2^16 as float16.
V vf FN(halves)(__m256i a, __m256i b) {
    __m256i h = _mm256_permute4x64_epi64(_mm256_packus_epi32(a, b), 0xd8);
    return FN(mk)(_mm256_cvtph_ps(_mm256_castsi256_si128(h)),
                  _mm256_cvtph_ps(_mm256_extracti128_si256(h, 1)));
}
V vf v_low_f16(vi w) {
    __m256i low = _mm256_set1_epi32(0xffff);
    return FN(halves)(_mm256_and_si256(w.a, low), _mm256_and_si256(w.b, low));
}
V vf v_high_f16(vi w) { return FN(halves)(_mm256_srli_epi32(w.a, 16), _mm256_srli_epi32(w.b, 16)); }
V vd vd_zero(void) {
    __m256d z = _mm256_setzero_pd();
    vd r = {{z, z, z, z}};
    return r;
}
V vd vd_addf(vd a, vf b) {
    a.d[0] = _mm256_add_pd(a.d[0], _mm256_cvtps_pd(_mm256_castps256_ps128(b.a)));
    a.d[1] = _mm256_add_pd(a.d[1], _mm256_cvtps_pd(_mm256_extractf128_ps(b.a, 1)));
    a.d[2] = _mm256_add_pd(a.d[2], _mm256_cvtps_pd(_mm256_castps256_ps128(b.b)));
    a.d[3] = _mm256_add_pd(a.d[3], _mm256_cvtps_pd(_mm256_extractf128_ps(b.b, 1)));
    return a;
}
V double vd_sum(vd a) {
    __m256d q = _mm256_add_pd(_mm256_add_pd(a.d[0], a.d[2]), _mm256_add_pd(a.d[1], a.d[3]));
    __m128d h = _mm_add_pd(_mm256_castpd256_pd128(q), _mm256_extractf128_pd(q, 1));
    return _mm_cvtsd_f64(_mm_add_sd(h, _mm_unpackhi_pd(h, h)));
}

#undef V
