// Sixteen float32 lanes under one set of names, for whichever instruction set is being compiled.
// A kernel file includes "each.h", which includes the kernel's body once per instruction set with
// TLG_ISA set; inside the body, FN(name) is the variant's own name and v_* are the lane operations.
// Every operation gives the same bits in every variant.
#pragma once
#include "cpu.h"
#if TLG_X86
#include <immintrin.h>
#endif

#define TLG_CAT2(a, b) a##b
#define TLG_CAT(a, b) TLG_CAT2(a, b)
#define FN(name) TLG_CAT(name, TLG_SUFFIX)

#define vf FN(vf)                   // 16 float32
#define vi FN(vi)                   // 16 words of 32 bits
#define vm FN(vm)                   // 16 truth values
#define vd FN(vd)                   // 16 float64
#define v_set1 FN(v_set1)           // every lane x
#define v_load FN(v_load)           // unaligned
#define v_loadn FN(v_loadn)         // the first n lanes (16 if n is more); the rest 0
#define v_load_bf16 FN(v_load_bf16) // 16 values, exact
#define v_load_f16 FN(v_load_f16)
#define v_store FN(v_store)
#define v_storen FN(v_storen)
#define v_add FN(v_add)
#define v_sub FN(v_sub)
#define v_mul FN(v_mul)
#define v_div FN(v_div)
#define v_fma FN(v_fma)     // a*b + c, rounded once
#define v_fnma FN(v_fnma)   // c - a*b, rounded once
#define v_max FN(v_max)     // a > b ? a : b, so b where either is NaN
#define v_min FN(v_min)     // a < b ? a : b
#define v_round FN(v_round) // to the nearest integer, ties to even
#define v_abs FN(v_abs)
#define v_sign FN(v_sign)     // the magnitude of a with the sign of b
#define v_scale2 FN(v_scale2) // p * 2^n, n integral with |n| <= 250, gradual underflow
#define v_lt FN(v_lt)         // false where either is NaN
#define v_le FN(v_le)
#define v_nan FN(v_nan)
#define v_head FN(v_head)         // the first n lanes
#define v_sel FN(v_sel)           // m ? a : b
#define v_bits FN(v_bits)         // one bit a lane
#define v_sum FN(v_sum)           // by halves: (l, l+8), (l, l+4), (l, l+2), (l, l+1)
#define v_top FN(v_top)           // the largest lane; no promise where there is a NaN
#define v_tr16 FN(v_tr16)         // d[k*ldd + n] = s[n*lds + k], 16 x 16
#define v_tr16_u16 FN(v_tr16_u16) // the same of 16 bits, where ldd is 16
// w[c], for c < 4: word c of each of 16 rows of 16 bytes, which lie so many bytes apart.
#define v_turn_words FN(v_turn_words)
#define v_low4 FN(v_low4) // the lower four bits of each byte
#define v_high4 FN(v_high4)
#define v_byte FN(v_byte)         // byte j < 4 of each word, an unsigned integer
#define v_top_byte FN(v_top_byte) // the same, signed, times 2^24
#define v_low_bf16 FN(v_low_bf16) // the lower half of each word
#define v_high_bf16 FN(v_high_bf16)
#define v_low_f16 FN(v_low_f16)
#define v_high_f16 FN(v_high_f16)
#define vd_zero FN(vd_zero)
#define vd_addf FN(vd_addf) // a + (double) b
#define vd_sum FN(vd_sum)   // the order of v_sum
#define v_exp FN(v_exp)
#define v_exp2 FN(v_exp2)
#define v_tanh FN(v_tanh)
