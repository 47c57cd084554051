// The row code of attention.c, once per instruction set.
#include "softcap.h"
#include "softmax.h"

#define RB 4 // query rows side by side
#define Z_FLOATS(s) (RB * tlg_ceil((s)->value_dim, 64) * 64)
#if TLG_ISA == TLG_ISA_AVX512
#define NV 4
#else
#define NV 1
#endif

// A tile of n keys of one head as kt[e][TILE]; columns past n are zero as far as the next 16.
TLG_FN static void FN(turn_keys)(const float *k, long stride, long n, long e, float *kt) {
    for (long c = 0; c < n; c += 16) {
        long m = tlg_min(16, n - c), d = 0;
        if (m == 16)
            for (; d + 16 <= e; d += 16)
                v_tr16(k + c * stride + d, stride, kt + d * TILE + c, TILE);
        for (; d < e; d++)
            for (long l = 0; l < 16; l++)
                kt[d * TILE + c + l] = l < m ? k[(c + l) * stride + d] : 0;
    }
}

// Scores of R rows with 16*nv keys of a tile, into out[row][TILE].
TLG_FN TLG_INLINE void FN(score_keys)(const int R, const int nv, const float *const *q, long e,
                                      const float *kt, float scale, float *out) {
    vf s[RB][NV];
#pragma GCC unroll 4
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int v = 0; v < nv; v++)
            s[r][v] = v_set1(0);
    for (long d = 0; d < e; d++, kt += TILE) {
        vf key[NV];
#pragma GCC unroll 4
        for (int v = 0; v < nv; v++)
            key[v] = v_load(kt + v * 16);
#pragma GCC unroll 4
        for (int r = 0; r < R; r++) {
            vf x = v_set1(q[r][d]);
#pragma GCC unroll 4
            for (int v = 0; v < nv; v++)
                s[r][v] = v_fma(x, key[v], s[r][v]);
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int v = 0; v < nv; v++)
            v_store(out + r * TILE + v * 16, v_mul(s[r][v], v_set1(scale)));
}

// Scores of R rows with the first n keys of a tile, and maybe a few more.
TLG_FN TLG_INLINE void FN(score_tile)(const int R, const float *const *q, long e, const float *kt,
                                      long n, float scale, float *out) {
#if NV == 4
    if (n > 48)
        FN(score_keys)(R, 4, q, e, kt, scale, out);
    else if (n > 32)
        FN(score_keys)(R, 3, q, e, kt, scale, out);
    else if (n > 16)
        FN(score_keys)(R, 2, q, e, kt, scale, out);
    else
        FN(score_keys)(R, 1, q, e, kt, scale, out);
#else
    for (long c = 0; c < n; c += 16)
        FN(score_keys)(R, 1, q, e, kt + c, scale, out + c);
#endif
}

// Which of the n keys from k0 are real: 1 or 0 each, or NULL if all are.
TLG_FN static const float *FN(real_keys)(const uint8_t *mask, long k0, long n, float *out) {
    if (!mask || !memchr(mask + k0, 0, (size_t)n))
        return NULL;
    for (long i = 0; i < TILE; i++)
        out[i] = i < n && mask[k0 + i];
    return out;
}

// Puts scores of keys [k0, k0+n) where the row sees them, and TLG_MASKED elsewhere.
TLG_FN TLG_INLINE void FN(put_scores)(const query *q, const float *real, long k0, long n,
                                      float softcap, const float *tile, float *row) {
    vf masked = v_set1(TLG_MASKED);
    for (long c = 0; c < n; c += 16) {
        long at = k0 + c;
        vf x = v_load(tile + c);
        if (softcap > 0)
            x = FN(cap)(x, softcap);
        if (real)
            x = v_sel(v_lt(v_set1(0), v_load(real + c)), x, masked);
        if (at < q->lo)
            x = v_sel(v_head(q->lo - at), masked, x);
        if (at + 16 > q->hi)
            x = v_sel(v_head(tlg_max(0, q->hi - at)), x, masked);
        v_storen(row + at, x, n - c);
    }
}

// Scores of query rows [r0, r1) of one head into rows[r - r0]. With `whole` every key is written;
// otherwise only the tiles which the row sees something of.
TLG_FN static void FN(score_rows)(const job *j, long b, long g, long r0, long r1, int whole,
                                  float *kt, float *const *rows) {
    const tlg_attention_shape *s = j->s;
    const float *k = j->k + b * j->ks.batch + g * j->ks.head;
    const uint8_t *mask = j->mask ? j->mask + b * s->k_len : NULL;
    float tile[RB * TILE], keep[TILE];
    memset(tile, 0, sizeof tile);
    for (long k0 = 0; k0 < s->k_len; k0 += TILE) {
        long n = tlg_min(TILE, s->k_len - k0), turned = 0;
        const float *real = FN(real_keys)(mask, k0, n, keep);
        for (long r = r0; r < r1; r += RB) {
            query at[RB];
            const float *q[RB];
            long nr = tlg_min(RB, r1 - r), reach = 0;
            int seen = 0;
            for (long i = 0; i < nr; i++) {
                at[i] = row_of(j, g, r + i);
                q[i] = j->q + b * j->qs.batch + at[i].pos * j->qs.pos + at[i].head * j->qs.head;
                seen |= at[i].lo < k0 + n && at[i].hi > k0;
                reach = tlg_max(reach, tlg_min(n, at[i].hi - k0));
            }
            for (long i = nr; i < RB; i++)
                q[i] = q[0];
            if (seen && !turned++)
                FN(turn_keys)(k + k0 * j->ks.pos, j->ks.pos, n, s->head_dim, kt);
            if (seen && nr == 1)
                FN(score_tile)(1, q, s->head_dim, kt, reach, s->scale, tile);
            else if (seen)
                FN(score_tile)(RB, q, s->head_dim, kt, reach, s->scale, tile);
            else if (!whole)
                continue;
            for (long i = 0; i < nr; i++) {
                if (!seen)
                    at[i].hi = at[i].lo = 0;
                FN(put_scores)(&at[i], real, k0, n, s->softcap, tile + i * TILE, rows[r + i - r0]);
            }
        }
    }
}

TLG_FN static int FN(write_scores)(job *j, long b, long g, long r0, long r1) {
    const tlg_attention_shape *s = j->s;
    float *kt = tlg_scratch(TLG_SLOT_B, TILE * s->head_dim * sizeof *kt);
    float **rows = tlg_scratch(TLG_SLOT_ROWS, (r1 - r0) * sizeof *rows);
    if (!kt || !rows)
        return 1;
    for (long r = r0; r < r1; r++) {
        query q = row_of(j, g, r);
        rows[r - r0] = j->scores + ((b * s->heads + q.head) * s->q_len + q.pos) * s->k_len;
    }
    FN(score_rows)(j, b, g, r0, r1, 1, kt, rows);
    return 0;
}

// A row to be mixed: its probabilities, which are zero outside of `at`.
typedef struct {
    const float *p;
    tlg_row at;
} FN(mixed);

// z[row] += p[row][0 .. n) * values [n][stride], for R rows of z, ldz apart, and up to 16*NV
// columns: all of them if `left` says so.
TLG_FN TLG_INLINE void FN(mix_columns)(const int R, const float *const *p, long n, const float *v,
                                       long stride, long left, float *z, long ldz) {
    vf acc[RB][NV];
#pragma GCC unroll 4
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int i = 0; i < NV; i++)
            acc[r][i] = v_load(z + r * ldz + i * 16);
    for (long k = 0; k < n; k++, v += stride) {
        vf x[NV];
#pragma GCC unroll 4
        for (int i = 0; i < NV; i++)
            x[i] = left >= 16 * NV ? v_load(v + i * 16)
                                   : v_loadn(v + i * 16, tlg_max(0, left - i * 16));
#pragma GCC unroll 4
        for (int r = 0; r < R; r++) {
            vf y = v_set1(p[r][k]);
#pragma GCC unroll 4
            for (int i = 0; i < NV; i++)
                acc[r][i] = v_fma(y, x[i], acc[r][i]);
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int i = 0; i < NV; i++)
            v_store(z + r * ldz + i * 16, acc[r][i]);
}

// The same for `width` columns; those past it are not read.
TLG_FN TLG_INLINE void FN(mix_tile)(const int R, const float *const *p, long n, const float *v,
                                    long stride, long width, float *z, long ldz) {
    long c = 0;
    for (; c + 16 * NV <= width; c += 16 * NV)
        FN(mix_columns)(R, p, n, v + c, stride, 16 * NV, z + c, ldz);
    if (c < width)
        FN(mix_columns)(R, p, n, v + c, stride, width - c, z + c, ldz);
}

// One row again, leaving out the keys of probability 0: their values may be inf or NaN.
TLG_FN static void FN(mix_careful)(const FN(mixed) * m, const float *v, long stride, long width,
                                   float *z) {
    for (long c = 0; c < width; c += 16) {
        vf acc = v_set1(0);
        for (long k = m->at.first; k < m->at.end; k++)
            if (m->p[k] != 0)
                acc = v_fma(v_set1(m->p[k]), v_loadn(v + k * stride + c, width - c), acc);
        v_store(z + c, acc);
    }
}

// Rows [r0, r0+nr) of z, nr <= RB. A zero probability adds nothing: with finite values the chain
// passes over it unchanged (-0 ends as +0), and a row that comes out not finite is done again with
// the zeros left out. p must be readable, and zero, wherever a neighbour has probabilities.
TLG_FN static void FN(mix_rows)(const job *j, long b, long g, long r0, long nr, const FN(mixed) * m,
                                float *z) {
    const tlg_attention_shape *s = j->s;
    const float *v = j->v + b * j->vs.batch + g * j->vs.head, *p[RB];
    long width = s->value_dim, ld = tlg_ceil(width, 64) * 64, lo = s->k_len, hi = 0;
    for (long i = 0; i < nr; i++)
        if (m[i].at.first < m[i].at.end) {
            lo = tlg_min(lo, m[i].at.first);
            hi = tlg_max(hi, m[i].at.end);
        }
    for (long i = 0; i < nr; i++)
        p[i] = m[i].p + lo;
    memset(z, 0, RB * ld * sizeof *z);
    if (nr == RB)
        FN(mix_tile)(RB, p, hi - lo, v + lo * j->vs.pos, j->vs.pos, width, z, ld);
    else
        for (long i = 0; i < nr; i++)
            FN(mix_tile)(1, p + i, hi - lo, v + lo * j->vs.pos, j->vs.pos, width, z + i * ld, ld);
    for (long i = 0; i < nr; i++, z += ld) {
        query q = row_of(j, g, r0 + i);
        vf bad = v_set1(0);
        for (long c = 0; c < width; c += 16)
            bad = v_fma(v_load(z + c), v_set1(0), bad);
        if (v_bits(v_nan(bad)))
            FN(mix_careful)(m + i, v, j->vs.pos, width, z);
        float *out = j->z + ((b * s->q_len + q.pos) * s->heads + q.head) * width;
        for (long c = 0; c < width; c += 16)
            v_storen(out + c, v_add(v_load(z + c), v_set1(0)), width - c);
    }
}

// From the first to one past the last probability that is not zero.
TLG_FN static tlg_row FN(nonzero)(const float *p, long n) {
    tlg_row r = {n, n, 0};
    vf zero = v_set1(0);
    for (long j = 0; j < n; j += 16) {
        vf x = v_abs(v_loadn(p + j, n - j));
        uint32_t some = ~v_bits(v_le(x, zero)) & v_bits(v_head(n - j));
        if (some) {
            r.first = j + __builtin_ctz(some);
            break;
        }
    }
    for (long e = n; e > r.first; e -= 16) {
        long at = tlg_max(r.first, e - 16);
        uint32_t some =
            ~v_bits(v_le(v_abs(v_loadn(p + at, e - at)), zero)) & v_bits(v_head(e - at));
        if (some) {
            r.end = at + 32 - __builtin_clz(some);
            break;
        }
    }
    return r;
}

TLG_FN static int FN(mix_pattern)(job *j, long b, long g, long r0, long r1) {
    const tlg_attention_shape *s = j->s;
    float *z = tlg_scratch(TLG_SLOT_B, Z_FLOATS(s) * sizeof *z);
    if (!z)
        return 1;
    for (long r = r0; r < r1; r += RB) {
        FN(mixed) m[RB];
        long nr = tlg_min(RB, r1 - r);
        for (long i = 0; i < nr; i++) {
            query q = row_of(j, g, r + i);
            m[i].p = j->pattern + ((b * s->heads + q.head) * s->q_len + q.pos) * s->k_len;
            m[i].at = FN(nonzero)(m[i].p, s->k_len);
        }
        FN(mix_rows)(j, b, g, r, nr, m, z);
    }
    return 0;
}

// Zeroes p between lo and hi where `at` does not reach.
TLG_FN TLG_INLINE void FN(clear_outside)(float *p, tlg_row at, long lo, long hi) {
    for (long k = lo; k < at.first; k++)
        p[k] = 0;
    for (long k = tlg_max(at.end, lo); k < hi; k++)
        p[k] = 0;
}

TLG_FN static int FN(attend)(job *j, long b, long g, long r0, long r1) {
    const tlg_attention_shape *s = j->s;
    long rows = r1 - r0, n = s->k_len,
         ld = n + 16; // rows a power of 2 apart would collide in cache
    float *kt = tlg_scratch(TLG_SLOT_B, (TILE * s->head_dim + Z_FLOATS(s)) * sizeof *kt);
    float *buf = tlg_scratch(TLG_SLOT_A, rows * ld * sizeof *buf);
    float **row = tlg_scratch(TLG_SLOT_ROWS, rows * sizeof *row);
    if (!kt || !buf || !row)
        return 1;
    for (long r = 0; r < rows; r++)
        row[r] = buf + r * ld;
    FN(score_rows)(j, b, g, r0, r1, 0, kt, row);
    for (long r = 0; r < rows; r += RB) {
        FN(mixed) m[RB];
        long lo = n, hi = 0, nr = tlg_min(RB, rows - r);
        for (long i = 0; i < nr; i++) {
            query q = row_of(j, g, r0 + r + i);
            float *p = row[r + i];
            m[i] = (FN(mixed)){p, FN(softmax_row)(n, q.lo, q.hi, s->zero_masked, p, p)};
            lo = tlg_min(lo, m[i].at.first);
            hi = tlg_max(hi, m[i].at.end);
        }
        for (long i = 0; i < nr; i++)
            FN(clear_outside)(row[r + i], m[i].at, lo, hi);
        FN(mix_rows)(j, b, g, r0 + r, nr, m, kt + TILE * s->head_dim);
    }
    return 0;
}

#undef RB
#undef Z_FLOATS
#undef NV
