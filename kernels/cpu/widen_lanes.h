// A matrix as float32, sixteen lanes at a time, whatever form it is stored in. Included in the body
// of a kernel, once for each instruction set; `form` is a constant wherever these are inlined.
//
// GGUF's blocks are 32 values along a row, behind their scales of half precision:
//   Q8_0  d, 32 signed bytes q: a value is d*q
//   Q4_1  d, m, 16 bytes, whose low halves are the first 16 values q and whose high halves are the
//   rest: d*q + m
// Each step is rounded, so the bits are those of golens/checkpoint.
//
// A new form is a case in form.h and in each function here that it can come to.
#include "form.h"

// Sixteen values that lie one behind the other, of a form without blocks.
TLG_FN TLG_INLINE vf FN(lanes_at)(const int form, const void *p) {
    switch (form) {
    case TLG_BF16:
        return v_load_bf16(p);
    case TLG_F16:
        return v_load_f16(p);
    default:
        return v_load(p);
    }
}

// The first n of them; the rest are 0, and not read.
TLG_FN TLG_INLINE vf FN(lanes_n)(const int form, const void *p, long n) {
    if (form == TLG_F32)
        return v_loadn(p, n);
    if (n >= 16)
        return FN(lanes_at)(form, p);
    uint16_t few[16] = {0};
    memcpy(few, p, (size_t)n * sizeof *few);
    return FN(lanes_at)(form, few);
}

// Sixteen rows by 16 or 32 values along them, turned, so that the values of one k lie in lanes.
typedef struct {
    vf scale, offset; // of the blocks, a lane a row
    union {
        float f32[256];
        uint16_t u16[256];
        vi words[8]; // two values a word, or four
    };
} FN(strip);

// Sixteen rows that lie ldb apart: 16 numbers of each, or the block that p is.
TLG_FN TLG_INLINE void FN(turn_whole)(const int form, FN(strip) * s, const uint8_t *p, long ldb) {
    const long step = tlg_bytes(form, ldb);
    vi head[4];
    switch (form) {
    case TLG_F32:
        v_tr16((const float *)p, ldb, s->f32, 16);
        break;
    case TLG_F16:
        v_tr16_u16((const uint16_t *)p, ldb, s->u16);
        break;
    case TLG_BF16:
        v_turn_words(p, step, s->words);
        v_turn_words(p + 16, step, s->words + 4);
        break;
    case TLG_Q8_0:
        v_turn_words(p, step, head);
        s->scale = v_mul(v_low_f16(head[0]), v_set1(0x1p-24f)); // exact, for v_top_byte
        v_turn_words(p + 2, step, s->words);
        v_turn_words(p + 18, step, s->words + 4);
        break;
    case TLG_Q4_1:
        v_turn_words(p, step, head);
        s->scale = v_low_f16(head[0]);
        s->offset = v_high_f16(head[0]);
        v_turn_words(p + 4, step, s->words);
        for (int i = 0; i < 4; i++) {
            s->words[4 + i] = v_high4(s->words[i]);
            s->words[i] = v_low4(s->words[i]);
        }
    }
}

// Where a stretch of B along K that begins at k0 comes to value k: whether another strip has to be
// turned. Stretches begin anywhere in numbers, and at multiples of 16 in blocks.
TLG_INLINE int FN(turns_at)(const int form, long k, long k0) {
    return !tlg_blocked(form) || k % TLG_BLOCK == 0 || k == k0;
}

// The same of fewer rows or numbers: what is past them in the strip is of no account, and not read.
TLG_FN static __attribute__((noinline)) void
FN(turn_some)(int form, FN(strip) * s, const uint8_t *p, long ldb, long n, long kk) {
    const long values = tlg_blocked(form) ? TLG_BLOCK : 16;
    const long room = tlg_bytes(form, values), step = tlg_bytes(form, ldb);
    _Alignas(64) uint8_t few[16 * 64] = {0};
    for (long r = 0; r < n; r++)
        memcpy(few + r * room, p + r * step,
               (size_t)(tlg_blocked(form) ? room : tlg_bytes(form, kk)));
    TLG_EACH_FORM(form, FN(turn_whole)(FORM, s, few, values));
}

// Takes n <= 16 rows of B from b on, ldb apart, and kk <= 16 numbers from k on, or the block that k
// lies in.
TLG_FN TLG_INLINE void FN(turn)(const int form, FN(strip) * s, const void *b, long ldb, long k,
                                long n, long kk) {
    const uint8_t *p = tlg_at(form, b, k);
    if (n == 16 && (tlg_blocked(form) || kk == 16))
        FN(turn_whole)(form, s, p, ldb);
    else
        FN(turn_some)(form, s, p, ldb, n, kk);
}

// Has the compiler read a strip from memory anew. There are not registers enough to hold one, and
// what it would put on the stack in their place are the sums.
TLG_INLINE void FN(reread)(FN(strip) * s) { __asm__("" : "+m"(*s)); }

// The values of k + i, i < 16, where 16 k are being gone through: a lane for each row of B.
TLG_FN TLG_INLINE vf FN(lanes)(const int form, const FN(strip) * s, long k, long i) {
    const vi *half = s->words + k % TLG_BLOCK / 16 * 4; // of a block
    switch (form) {
    case TLG_BF16:
        return i % 2 ? v_high_bf16(s->words[i / 2]) : v_low_bf16(s->words[i / 2]);
    case TLG_F16:
        return v_load_f16(s->u16 + i * 16);
    case TLG_Q8_0:
        return v_mul(s->scale, v_top_byte(half[i / 4], i % 4));
    case TLG_Q4_1:
        return v_add(v_mul(s->scale, v_byte(half[i / 4], i % 4)), s->offset);
    default:
        return v_load(s->f32 + i * 16);
    }
}
