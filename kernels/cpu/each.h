// Includes TLG_BODY once for each instruction set of this machine's family. No include guard; the
// order of the includes matters.
// clang-format off
#include "vec.h"

#define TLG_ISA TLG_ISA_PLAIN
#define TLG_SUFFIX _plain
#define TLG_FN
#include "vec_plain.h"
#include "vec_math.h"
#include TLG_BODY
#undef TLG_ISA
#undef TLG_SUFFIX
#undef TLG_FN

#if TLG_X86
#define TLG_ISA TLG_ISA_AVX2
#define TLG_SUFFIX _avx2
#define TLG_FN __attribute__((target("avx2,fma,f16c")))
#include "vec_avx2.h"
#include "vec_math.h"
#include TLG_BODY
#undef TLG_ISA
#undef TLG_SUFFIX
#undef TLG_FN

#define TLG_ISA TLG_ISA_AVX512
#define TLG_SUFFIX _avx512
#define TLG_FN __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")))
#include "vec_avx512.h"
#include "vec_math.h"
#include TLG_BODY
#undef TLG_ISA
#undef TLG_SUFFIX
#undef TLG_FN
#endif
// clang-format on
