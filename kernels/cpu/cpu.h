// What the C files of this package share: run-time choice of instruction set, threads, scratch
// memory, and the one order along K. Nothing here is seen by Go (kernels.h is).
#pragma once
#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"

// TLG_X86 can be set to 0 to build the plain variants alone, as on other processors.
#ifndef TLG_X86
#if (defined(__x86_64__) || defined(__amd64__)) && (defined(__GNUC__) || defined(__clang__))
#define TLG_X86 1
#else
#define TLG_X86 0
#endif
#endif

#define TLG_INLINE static inline __attribute__((always_inline))

#define TLG_ISA_PLAIN 0
#define TLG_ISA_AVX2 1
#define TLG_ISA_AVX512 2

// Calls NAME_plain, NAME_avx2 or NAME_avx512.
#if TLG_X86
#define TLG_PICK(name)                                                                             \
    (tlg_isa() == TLG_ISA_AVX512 ? name##_avx512                                                   \
     : tlg_isa() == TLG_ISA_AVX2 ? name##_avx2                                                     \
                                 : name##_plain)
#else
#define TLG_PICK(name) name##_plain
#endif

TLG_INLINE long tlg_min(long a, long b) { return a < b ? a : b; }
TLG_INLINE long tlg_max(long a, long b) { return a > b ? a : b; }
TLG_INLINE long tlg_ceil(long a, long b) { return (a + b - 1) / b; }

// Length of the next block along K when `left` values remain. This is oneDNN's order on AVX-512, so
// that its products and ours have the same bits. An output is the FMA chain over each block, the
// block sums added in order, then bias, then residual.
TLG_INLINE long tlg_kblock(long left) {
    return left >= 768 ? 384 : left > 384 ? (left + 1) / 2 : left;
}
#define TLG_KMAX 384

// Runs fn(ctx) on the calling thread and on up to nthreads-1 others; returns when all are done. The
// number that really take part may be smaller, so fn must share work out by claiming it.
void tlg_parallel(void (*fn)(void *), void *ctx, int nthreads);

// Runs fn(ctx, 0) .. fn(ctx, units-1), each once, on some thread. `work` is a rough count of
// nanoseconds on one thread: small work stays on the calling thread.
typedef void (*tlg_unit)(void *ctx, long unit);
void tlg_for(long units, double work, tlg_unit fn, void *ctx);

// c[i] += a[i], on the calling thread.
void tlg_add_here(long n, float *c, const float *a);
// y[i] = x[i], of whatever form, on the calling thread.
void tlg_widen_here(int form, long n, const void *x, float *y);

// At least `bytes` of memory aligned to 64, owned by the calling thread and valid until it asks for
// the same slot again. Returns NULL when there is no memory.
enum { TLG_SLOT_A, TLG_SLOT_B, TLG_SLOT_ROWS, TLG_SLOT_COUNT };
void *tlg_scratch(int slot, size_t bytes);
