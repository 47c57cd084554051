// The forms in which a matrix may be stored: how many values share a block, how many bytes that
// takes, and the values of the forms of 16 bits. What a block holds is told in widen_lanes.h, which
// widens.
#pragma once
#include "cpu.h"

#define TLG_BLOCK 32 // values a block, in the forms that have blocks

// A form is a constant wherever speed matters, so that these are too.
TLG_INLINE int tlg_blocked(int form) { return form >= TLG_Q8_0; }

// The bytes of n values, whole blocks.
TLG_INLINE long tlg_bytes(int form, long n) {
    switch (form) {
    case TLG_F32:
        return n * 4;
    case TLG_Q8_0:
        return n / TLG_BLOCK * 34;
    case TLG_Q4_1:
        return n / TLG_BLOCK * 20;
    default:
        return n * 2;
    }
}

// Where value i lies, counted from x: the block that it is in, where there are blocks.
TLG_INLINE const void *tlg_at(int form, const void *x, long i) {
    return (const char *)x + tlg_bytes(form, i);
}

// Runs `call`, in which FORM is the form, once for whichever it is: the call is compiled for each.
#define TLG_FORM_CASE(form, call)                                                                  \
    case form: {                                                                                   \
        enum { FORM = form };                                                                      \
        call;                                                                                      \
        break;                                                                                     \
    }
#define TLG_EACH_FORM(form, call)                                                                  \
    do {                                                                                           \
        switch (form) {                                                                            \
            TLG_FORM_CASE(TLG_F32, call)                                                           \
            TLG_FORM_CASE(TLG_BF16, call)                                                          \
            TLG_FORM_CASE(TLG_F16, call)                                                           \
            TLG_FORM_CASE(TLG_Q8_0, call)                                                          \
            TLG_FORM_CASE(TLG_Q4_1, call)                                                          \
        }                                                                                          \
    } while (0)
// Of those without blocks, for matrices whose rows are not along K.
#define TLG_EACH_DENSE_FORM(form, call)                                                            \
    do {                                                                                           \
        switch (form) {                                                                            \
            TLG_FORM_CASE(TLG_F32, call)                                                           \
            TLG_FORM_CASE(TLG_BF16, call)                                                          \
            TLG_FORM_CASE(TLG_F16, call)                                                           \
        }                                                                                          \
    } while (0)

TLG_INLINE float tlg_float_of(uint32_t u) {
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}
TLG_INLINE uint32_t tlg_bits_of(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

TLG_INLINE float tlg_from_bf16(uint16_t h) { return tlg_float_of((uint32_t)h << 16); }

TLG_INLINE float tlg_from_f16(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, e = h >> 10 & 31, m = h & 0x3ff;
    if (e == 31)
        return tlg_float_of(sign | 0x7f800000 | m << 13 | (m ? 0x400000 : 0));
    if (e)
        return tlg_float_of(sign | (e + 112) << 23 | m << 13);
    float tiny = (float)m * 0x1p-24f;
    return tlg_float_of(sign | tlg_bits_of(tiny));
}

// The float16 at p, wherever that is.
TLG_INLINE float tlg_f16_at(const void *p) {
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return tlg_from_f16(h);
}
