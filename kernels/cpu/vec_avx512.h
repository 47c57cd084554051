// Lane operations on AVX-512: one register of sixteen.
#include "vec_x86.h"

#define V TLG_FN TLG_INLINE

typedef __m512 vf;
typedef struct {
    __m512d a, b;
} vd;
typedef __m512i vi;
typedef __mmask16 vm;

V vm v_head(long n) { return n >= 16 ? (vm)0xffff : (vm)((1u << n) - 1); }
V vf v_set1(float x) { return _mm512_set1_ps(x); }
V vf v_load(const float *p) { return _mm512_loadu_ps(p); }
V vf v_loadn(const float *p, long n) { return _mm512_maskz_loadu_ps(v_head(n), p); }
V vf v_load_bf16(const uint16_t *p) {
    __m512i u = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(u, 16));
}
V vf v_load_f16(const uint16_t *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}
V void v_store(float *p, vf a) { _mm512_storeu_ps(p, a); }
V void v_storen(float *p, vf a, long n) { _mm512_mask_storeu_ps(p, v_head(n), a); }
V vf v_add(vf a, vf b) { return _mm512_add_ps(a, b); }
V vf v_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
V vf v_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
V vf v_div(vf a, vf b) { return _mm512_div_ps(a, b); }
V vf v_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
V vf v_fnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); }
V vf v_max(vf a, vf b) { return _mm512_max_ps(a, b); }
V vf v_min(vf a, vf b) { return _mm512_min_ps(a, b); }
V vf v_round(vf a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
V vf v_abs(vf a) { return _mm512_abs_ps(a); }
V vf v_sign(vf a, vf b) {
    vf s = _mm512_set1_ps(-0.f);
    return _mm512_or_ps(_mm512_andnot_ps(s, a), _mm512_and_ps(s, b));
}
V vf v_scale2(vf p, vf n) { return _mm512_scalef_ps(p, n); }
V vm v_lt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
V vm v_le(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
V vm v_nan(vf a) { return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q); }
V vf v_sel(vm m, vf a, vf b) { return _mm512_mask_mov_ps(b, m, a); }
V uint32_t v_bits(vm m) { return m; }
V float v_sum(vf a) {
    __m256 h = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}
V float v_top(vf a) {
    __m256 h = _mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_max_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}
V void v_tr16(const float *s, long lds, float *d, long ldd) {
    __m512 r[16], t[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        r[i] = _mm512_loadu_ps(s + i * lds);
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        t[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        __m512d a = _mm512_castps_pd(t[4 * i]), b = _mm512_castps_pd(t[4 * i + 2]);
        __m512d c = _mm512_castps_pd(t[4 * i + 1]), e = _mm512_castps_pd(t[4 * i + 3]);
        r[4 * i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
        r[4 * i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
        r[4 * i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(c, e));
        r[4 * i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(c, e));
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        __m512 a = _mm512_shuffle_f32x4(r[i], r[4 + i], 0x88);
        __m512 b = _mm512_shuffle_f32x4(r[i], r[4 + i], 0xdd);
        __m512 c = _mm512_shuffle_f32x4(r[8 + i], r[12 + i], 0x88);
        __m512 e = _mm512_shuffle_f32x4(r[8 + i], r[12 + i], 0xdd);
        _mm512_storeu_ps(d + i * ldd, _mm512_shuffle_f32x4(a, c, 0x88));
        _mm512_storeu_ps(d + (4 + i) * ldd, _mm512_shuffle_f32x4(b, e, 0x88));
        _mm512_storeu_ps(d + (8 + i) * ldd, _mm512_shuffle_f32x4(a, c, 0xdd));
        _mm512_storeu_ps(d + (12 + i) * ldd, _mm512_shuffle_f32x4(b, e, 0xdd));
    }
}
// Rows p, p + 4*step, p + 8*step and p + 12*step.
V __m512i FN(four_rows)(const uint8_t *p, long step) {
    __m512i r = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)p));
    r = _mm512_inserti32x4(r, _mm_loadu_si128((const __m128i *)(p + 4 * step)), 1);
    r = _mm512_inserti32x4(r, _mm_loadu_si128((const __m128i *)(p + 8 * step)), 2);
    return _mm512_inserti32x4(r, _mm_loadu_si128((const __m128i *)(p + 12 * step)), 3);
}
V void v_turn_words(const uint8_t *p, long step, vi *w) {
    __m512i a = FN(four_rows)(p, step), b = FN(four_rows)(p + step, step);
    __m512i c = FN(four_rows)(p + 2 * step, step), d = FN(four_rows)(p + 3 * step, step);
    __m512i e = _mm512_unpacklo_epi32(a, b), f = _mm512_unpacklo_epi32(c, d);
    __m512i g = _mm512_unpackhi_epi32(a, b), h = _mm512_unpackhi_epi32(c, d);
    w[0] = _mm512_unpacklo_epi64(e, f);
    w[1] = _mm512_unpackhi_epi64(e, f);
    w[2] = _mm512_unpacklo_epi64(g, h);
    w[3] = _mm512_unpackhi_epi64(g, h);
}
V vi v_low4(vi w) { return _mm512_and_si512(w, _mm512_set1_epi8(15)); }
V vi v_high4(vi w) { return v_low4(_mm512_srli_epi16(w, 4)); }
// Byte j of each word, moved to place `to` of it; the others 0.
V vi FN(pick)(vi w, long j, int to) {
    __m512i lanes = _mm512_broadcast_i32x4(_mm_setr_epi32(0, 4, 8, 12));
    __m512i from = _mm512_add_epi32(lanes, _mm512_set1_epi32((int)j));
    from = to ? _mm512_or_si512(_mm512_slli_epi32(from, 24), _mm512_set1_epi32(0x808080))
              : _mm512_or_si512(from, _mm512_set1_epi32((int)0x80808000));
    return _mm512_shuffle_epi8(w, from);
}
V vf v_byte(vi w, long j) { return _mm512_cvtepi32_ps(FN(pick)(w, j, 0)); }
V vf v_top_byte(vi w, long j) { return _mm512_cvtepi32_ps(FN(pick)(w, j, 3)); }
V vf v_low_bf16(vi w) { return _mm512_castsi512_ps(_mm512_slli_epi32(w, 16)); }
V vf v_high_bf16(vi w) {
    return _mm512_castsi512_ps(_mm512_and_si512(w, _mm512_set1_epi32((int)0xffff0000)));
}
V vf v_low_f16(vi w) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(w)); }
V vf v_high_f16(vi w) { return v_low_f16(_mm512_srli_epi32(w, 16)); }
V vd vd_zero(void) {
    vd r = {_mm512_setzero_pd(), _mm512_setzero_pd()};
    return r;
}
V vd vd_addf(vd a, vf b) {
    a.a = _mm512_add_pd(a.a, _mm512_cvtps_pd(_mm512_castps512_ps256(b)));
    a.b = _mm512_add_pd(a.b, _mm512_cvtps_pd(_mm512_extractf32x8_ps(b, 1)));
    return a;
}
V double vd_sum(vd a) {
    __m512d s = _mm512_add_pd(a.a, a.b);
    __m256d q = _mm256_add_pd(_mm512_castpd512_pd256(s), _mm512_extractf64x4_pd(s, 1));
    __m128d h = _mm_add_pd(_mm256_castpd256_pd128(q), _mm256_extractf128_pd(q, 1));
    return _mm_cvtsd_f64(_mm_add_sd(h, _mm_unpackhi_pd(h, h)));
}

#undef V
