// Lane operations that AVX2 and AVX-512 do alike.
#include "cpu.h"

#define V TLG_FN TLG_INLINE

// Three rounds, each of which interleaves the rows whose numbers differ in the highest bit, of the
// first eight rows and of the last; so numbers become places, bit by bit. Then the halves are
// joined.
V void v_tr16_u16(const uint16_t *s, long lds, uint16_t *d) {
    __m256i y[16], t[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        y[i] = _mm256_loadu_si256((const __m256i *)(s + i * lds));
#pragma GCC unroll 3
    for (int round = 0; round < 3; round++) {
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            int from = i % 4 + i / 4 * 8, to = 2 * (i % 4) + i / 4 * 8;
            t[to] = _mm256_unpacklo_epi16(y[from], y[from + 4]);
            t[to + 1] = _mm256_unpackhi_epi16(y[from], y[from + 4]);
        }
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++)
            y[i] = t[i];
    }
#pragma GCC unroll 8
    for (int k = 0; k < 8; k++) {
        __m256i low = _mm256_permute2x128_si256(y[k], y[k + 8], 0x20);
        __m256i high = _mm256_permute2x128_si256(y[k], y[k + 8], 0x31);
        _mm256_storeu_si256((__m256i *)(d + k * 16), low);
        _mm256_storeu_si256((__m256i *)(d + (k + 8) * 16), high);
    }
}

#undef V
