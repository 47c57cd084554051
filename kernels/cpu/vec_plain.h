// Lane operations in plain C: what every other variant must agree with, bit for bit.
#include "form.h"

typedef struct {
    float f[16];
} vf;
typedef struct {
    double d[16];
} vd;
typedef struct {
    uint32_t u[16];
} vi;
typedef uint32_t vm;

#define TLG_LANES(expr)                                                                            \
    vf r;                                                                                          \
    for (int l = 0; l < 16; l++)                                                                   \
        r.f[l] = (expr);                                                                           \
    return r
#define TLG_WORDS(expr)                                                                            \
    vi r;                                                                                          \
    for (int l = 0; l < 16; l++)                                                                   \
        r.u[l] = (expr);                                                                           \
    return r
#define TLG_MASK(expr)                                                                             \
    vm m = 0;                                                                                      \
    for (int l = 0; l < 16; l++)                                                                   \
        m |= (vm)(expr) << l;                                                                      \
    return m

TLG_INLINE vf v_set1(float x) { TLG_LANES(x); }
TLG_INLINE vf v_load(const float *p) { TLG_LANES(p[l]); }
TLG_INLINE vf v_loadn(const float *p, long n) { TLG_LANES(l < n ? p[l] : 0); }
TLG_INLINE vf v_load_bf16(const uint16_t *p) { TLG_LANES(tlg_from_bf16(p[l])); }
TLG_INLINE vf v_load_f16(const uint16_t *p) { TLG_LANES(tlg_from_f16(p[l])); }
TLG_INLINE void v_store(float *p, vf a) { memcpy(p, a.f, sizeof a.f); }
TLG_INLINE void v_storen(float *p, vf a, long n) {
    for (long l = 0; l < n && l < 16; l++)
        p[l] = a.f[l];
}
TLG_INLINE vf v_add(vf a, vf b) { TLG_LANES(a.f[l] + b.f[l]); }
TLG_INLINE vf v_sub(vf a, vf b) { TLG_LANES(a.f[l] - b.f[l]); }
TLG_INLINE vf v_mul(vf a, vf b) { TLG_LANES(a.f[l] * b.f[l]); }
TLG_INLINE vf v_div(vf a, vf b) { TLG_LANES(a.f[l] / b.f[l]); }
TLG_INLINE vf v_fma(vf a, vf b, vf c) { TLG_LANES(fmaf(a.f[l], b.f[l], c.f[l])); }
TLG_INLINE vf v_fnma(vf a, vf b, vf c) { TLG_LANES(fmaf(-a.f[l], b.f[l], c.f[l])); }
TLG_INLINE vf v_max(vf a, vf b) { TLG_LANES(a.f[l] > b.f[l] ? a.f[l] : b.f[l]); }
TLG_INLINE vf v_min(vf a, vf b) { TLG_LANES(a.f[l] < b.f[l] ? a.f[l] : b.f[l]); }
TLG_INLINE vf v_round(vf a) { TLG_LANES(rintf(a.f[l])); }
TLG_INLINE vf v_abs(vf a) { TLG_LANES(fabsf(a.f[l])); }
TLG_INLINE vf v_sign(vf a, vf b) { TLG_LANES(copysignf(a.f[l], b.f[l])); }
// In two exact halves and one rounding, as the hardware's scalef rounds.
TLG_INLINE vf v_scale2(vf p, vf n) {
    vf r;
    for (int l = 0; l < 16; l++) {
        int e = (int)n.f[l], e1 = e >> 1, e2 = e - e1;
        union {
            uint32_t u;
            float f;
        } a = {(uint32_t)(e1 + 127) << 23}, b = {(uint32_t)(e2 + 127) << 23};
        r.f[l] = p.f[l] * a.f * b.f;
    }
    return r;
}
TLG_INLINE vm v_lt(vf a, vf b) { TLG_MASK(a.f[l] < b.f[l]); }
TLG_INLINE vm v_le(vf a, vf b) { TLG_MASK(a.f[l] <= b.f[l]); }
TLG_INLINE vm v_nan(vf a) { TLG_MASK(a.f[l] != a.f[l]); }
TLG_INLINE vm v_head(long n) { return n >= 16 ? 0xffff : (1u << n) - 1; }
TLG_INLINE vf v_sel(vm m, vf a, vf b) { TLG_LANES(m >> l & 1 ? a.f[l] : b.f[l]); }
TLG_INLINE uint32_t v_bits(vm m) { return m; }
TLG_INLINE float v_sum(vf a) {
    for (int w = 8; w; w /= 2)
        for (int l = 0; l < w; l++)
            a.f[l] += a.f[l + w];
    return a.f[0];
}
TLG_INLINE float v_top(vf a) {
    for (int w = 8; w; w /= 2)
        for (int l = 0; l < w; l++)
            a.f[l] = a.f[l] > a.f[l + w] ? a.f[l] : a.f[l + w];
    return a.f[0];
}
TLG_INLINE void v_tr16(const float *s, long lds, float *d, long ldd) {
    for (int k = 0; k < 16; k++)
        for (int n = 0; n < 16; n++)
            d[k * ldd + n] = s[n * lds + k];
}
TLG_INLINE void v_tr16_u16(const uint16_t *s, long lds, uint16_t *d) {
    for (int k = 0; k < 16; k++)
        for (int n = 0; n < 16; n++)
            d[k * 16 + n] = s[n * lds + k];
}
TLG_INLINE void v_turn_words(const uint8_t *p, long step, vi *w) {
    for (int c = 0; c < 4; c++)
        for (int l = 0; l < 16; l++)
            memcpy(&w[c].u[l], p + l * step + c * 4, 4);
}
TLG_INLINE vi v_low4(vi w) { TLG_WORDS(w.u[l] & 0x0f0f0f0f); }
TLG_INLINE vi v_high4(vi w) { TLG_WORDS(w.u[l] >> 4 & 0x0f0f0f0f); }
TLG_INLINE vf v_byte(vi w, long j) { TLG_LANES((float)(w.u[l] >> 8 * j & 255)); }
TLG_INLINE vf v_top_byte(vi w, long j) { TLG_LANES((float)(int32_t)(w.u[l] >> 8 * j << 24)); }
TLG_INLINE vf v_low_bf16(vi w) { TLG_LANES(tlg_from_bf16((uint16_t)w.u[l])); }
TLG_INLINE vf v_high_bf16(vi w) { TLG_LANES(tlg_from_bf16((uint16_t)(w.u[l] >> 16))); }
TLG_INLINE vf v_low_f16(vi w) { TLG_LANES(tlg_from_f16((uint16_t)w.u[l])); }
TLG_INLINE vf v_high_f16(vi w) { TLG_LANES(tlg_from_f16((uint16_t)(w.u[l] >> 16))); }
TLG_INLINE vd vd_zero(void) {
    vd r = {{0}};
    return r;
}
TLG_INLINE vd vd_addf(vd a, vf b) {
    for (int l = 0; l < 16; l++)
        a.d[l] += b.f[l];
    return a;
}
TLG_INLINE double vd_sum(vd a) {
    for (int w = 8; w; w /= 2)
        for (int l = 0; l < w; l++)
            a.d[l] += a.d[l + w];
    return a.d[0];
}

#undef TLG_LANES
#undef TLG_WORDS
#undef TLG_MASK
