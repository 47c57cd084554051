// Which instruction set the kernels use: the best this processor has, or what
// TRANSFORMER_LENS_GO_ISA (plain, avx2, avx512) asks for, if the processor has it.
#include "cpu.h"

#include <pthread.h>
#include <stdatomic.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int best;
static atomic_int current;

static void detect(void) {
    best = TLG_ISA_PLAIN;
#if TLG_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        best = TLG_ISA_AVX2;
    if (best == TLG_ISA_AVX2 && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        best = TLG_ISA_AVX512;
#endif
    int want = best;
    const char *s = getenv("TRANSFORMER_LENS_GO_ISA");
    if (s && !strcmp(s, "plain"))
        want = TLG_ISA_PLAIN;
    else if (s && !strcmp(s, "avx2"))
        want = TLG_ISA_AVX2;
    atomic_store(&current, want < best ? want : best);
}

int tlg_isa(void) {
    pthread_once(&once, detect);
    return atomic_load_explicit(&current, memory_order_relaxed);
}

int tlg_isa_set(int isa) {
    pthread_once(&once, detect);
    if (isa < TLG_ISA_PLAIN || isa > best)
        return 0;
    atomic_store(&current, isa);
    return 1;
}
