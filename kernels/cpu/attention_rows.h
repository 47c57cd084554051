// The row code of attention.c, once per instruction set. Keys and values are visited a tile at a
// time, all rows of the unit with each, so that the tile stays in the first cache.
#include "softmax.h"

#define RB 4 // query rows side by side
#if TLG_ISA == TLG_ISA_AVX512
#define NV 4
#else
#define NV 1
#endif

// A tile of keys [k0, k0+n) of one head as kt[e][TILE]; columns past n are zero.
TLG_FN static void FN(turn_keys)(const float *k, long stride, long n, long e, float *kt) {
    for (long c = 0; c < TILE; c += 16) {
        long m = tlg_max(0, tlg_min(16, n - c)), d = 0;
        if (m == 16)
            for (; d + 16 <= e; d += 16)
                v_tr16(k + c * stride + d, stride, kt + d * TILE + c, TILE);
        for (; d < e; d++)
            for (long l = 0; l < 16; l++)
                kt[d * TILE + c + l] = l < m ? k[(c + l) * stride + d] : 0;
    }
}

// Scores of R rows with one tile of keys, into out[row][TILE].
TLG_FN TLG_INLINE void FN(score_tile)(const int R, const float *const *q, long e, const float *kt,
                                      float scale, float *out) {
    for (long c = 0; c < TILE; c += 16 * NV) {
        vf s[RB][NV];
#pragma GCC unroll 4
        for (int r = 0; r < R; r++)
#pragma GCC unroll 4
            for (int v = 0; v < NV; v++)
                s[r][v] = v_set1(0);
        const float *t = kt + c;
        for (long d = 0; d < e; d++, t += TILE) {
            vf key[NV];
#pragma GCC unroll 4
            for (int v = 0; v < NV; v++)
                key[v] = v_load(t + v * 16);
#pragma GCC unroll 4
            for (int r = 0; r < R; r++) {
                vf x = v_set1(q[r][d]);
#pragma GCC unroll 4
                for (int v = 0; v < NV; v++)
                    s[r][v] = v_fma(x, key[v], s[r][v]);
            }
        }
#pragma GCC unroll 4
        for (int r = 0; r < R; r++)
#pragma GCC unroll 4
            for (int v = 0; v < NV; v++)
                v_store(out + r * TILE + c + v * 16, v_mul(s[r][v], v_set1(scale)));
    }
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
                                      const float *tile, float *row) {
    vf masked = v_set1(TLG_MASKED);
    for (long c = 0; c < n; c += 16) {
        long at = k0 + c;
        vf x = v_load(tile + c);
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
            long nr = tlg_min(RB, r1 - r);
            int seen = 0;
            for (long i = 0; i < nr; i++) {
                at[i] = row_of(j, g, r + i);
                q[i] = j->q + b * j->qs.batch + at[i].pos * j->qs.pos + at[i].head * j->qs.head;
                seen |= at[i].lo < k0 + n && at[i].hi > k0;
            }
            for (long i = nr; i < RB; i++)
                q[i] = q[0];
            if (seen && !turned++)
                FN(turn_keys)(k + k0 * j->ks.pos, j->ks.pos, n, s->head_dim, kt);
            if (seen && nr == 1)
                FN(score_tile)(1, q, s->head_dim, kt, s->scale, tile);
            else if (seen)
                FN(score_tile)(RB, q, s->head_dim, kt, s->scale, tile);
            else if (!whole)
                continue;
            for (long i = 0; i < nr; i++) {
                if (!seen)
                    at[i].hi = at[i].lo = 0;
                FN(put_scores)(&at[i], real, k0, n, tile + i * TILE, rows[r + i - r0]);
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

// z[row] += p[row][0 .. n) * values [n][stride], for R rows of z, ldz apart, and up to 16*NV columns:
// all of them if `left` says so.
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

// Adds one tile of values, n keys from k0, to the rows that have probabilities there.
TLG_FN static void FN(mix_rows_tile)(const FN(mixed) * m, long rows, long k0, long n,
                                     const float *v, long stride, long width, float *z, long ldz) {
    for (long r = 0; r < rows; r += RB) {
        const float *p[RB];
        long nr = tlg_min(RB, rows - r), lo = k0 + n, hi = k0;
        for (long i = 0; i < nr; i++) {
            tlg_row at = m[r + i].at;
            if (at.first < at.end) {
                lo = tlg_min(lo, tlg_max(at.first, k0));
                hi = tlg_max(hi, tlg_min(at.end, k0 + n));
            }
        }
        if (lo >= hi)
            continue;
        for (long i = 0; i < RB; i++)
            p[i] = m[r + tlg_min(i, nr - 1)].p + lo;
        const float *from = v + (lo - k0) * stride;
        if (nr == RB)
            FN(mix_tile)(RB, p, hi - lo, from, stride, width, z + r * ldz, ldz);
        else
            for (long i = 0; i < nr; i++)
                FN(mix_tile)(1, p + i, hi - lo, from, stride, width, z + (r + i) * ldz, ldz);
    }
}

// Rows [r0, r0+rows) of z. A zero probability adds nothing: with finite values the chain passes over
// it unchanged (-0 ends as +0), and a row that comes out not finite is done again with the zeros left
// out. p must be readable, and zero, wherever a neighbour among RB rows has probabilities.
TLG_FN static int FN(mix_rows)(const job *j, long b, long g, long r0, long rows,
                               const FN(mixed) * m) {
    const tlg_attention_shape *s = j->s;
    const float *v = j->v + b * j->vs.batch + g * j->vs.head;
    long width = s->value_dim, ld = tlg_ceil(width, 64) * 64;
    float *vt = tlg_scratch(TLG_SLOT_B, (VALUES + rows) * ld * sizeof *vt), *z = vt + VALUES * ld;
    if (!vt)
        return 1;
    memset(z, 0, rows * ld * sizeof *z);
    for (long k0 = 0; k0 < s->k_len; k0 += VALUES) {
        long n = tlg_min(VALUES, s->k_len - k0);
        const float *tile = v + k0 * j->vs.pos;
        if (rows < 2 * RB) {
            FN(mix_rows_tile)(m, rows, k0, n, tile, j->vs.pos, width, z, ld);
            continue;
        }
        for (long i = 0; i < n; i++)
            for (long c = 0; c < ld; c += 16)
                v_store(vt + i * ld + c,
                        v_loadn(tile + i * j->vs.pos + c, tlg_max(0, width - c)));
        FN(mix_rows_tile)(m, rows, k0, n, vt, ld, tlg_ceil(width, 16) * 16, z, ld);
    }
    for (long r = 0; r < rows; r++) {
        query q = row_of(j, g, r0 + r);
        float *from = z + r * ld;
        vf bad = v_set1(0);
        for (long c = 0; c < width; c += 16)
            bad = v_fma(v_load(from + c), v_set1(0), bad);
        if (v_bits(v_nan(bad)))
            FN(mix_careful)(m + r, v, j->vs.pos, width, from);
        float *out = j->z + ((b * s->q_len + q.pos) * s->heads + q.head) * width;
        for (long c = 0; c < width; c += 16)
            v_storen(out + c, v_add(v_load(from + c), v_set1(0)), width - c);
    }
    return 0;
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
        uint32_t some = ~v_bits(v_le(v_abs(v_loadn(p + at, e - at)), zero)) & v_bits(v_head(e - at));
        if (some) {
            r.end = at + 32 - __builtin_clz(some);
            break;
        }
    }
    return r;
}

TLG_FN static int FN(mix_pattern)(job *j, long b, long g, long r0, long r1) {
    const tlg_attention_shape *s = j->s;
    FN(mixed) *m = tlg_scratch(TLG_SLOT_ROWS, (r1 - r0) * sizeof *m);
    if (!m)
        return 1;
    for (long r = r0; r < r1; r++) {
        query q = row_of(j, g, r);
        const float *p = j->pattern + ((b * s->heads + q.head) * s->q_len + q.pos) * s->k_len;
        m[r - r0] = (FN(mixed)){p, FN(nonzero)(p, s->k_len)};
    }
    return FN(mix_rows)(j, b, g, r0, r1 - r0, m);
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
    long rows = r1 - r0, n = s->k_len, ld = n + 16; // rows apart by a power of 2 would collide
    float *kt = tlg_scratch(TLG_SLOT_B, TILE * s->head_dim * sizeof *kt);
    float *buf = tlg_scratch(TLG_SLOT_A, rows * ld * sizeof *buf);
    float **row = tlg_scratch(TLG_SLOT_ROWS, rows * (sizeof *row + sizeof(FN(mixed))));
    if (!kt || !buf || !row)
        return 1;
    FN(mixed) *m = (FN(mixed) *)(row + rows);
    for (long r = 0; r < rows; r++)
        row[r] = buf + r * ld;
    FN(score_rows)(j, b, g, r0, r1, 0, kt, row);
    for (long r = 0; r < rows; r += RB) {
        long lo = n, hi = 0, end = tlg_min(r + RB, rows);
        for (long i = r; i < end; i++) {
            query q = row_of(j, g, r0 + i);
            m[i] = (FN(mixed)){row[i], FN(softmax_row)(n, q.lo, q.hi, row[i], row[i])};
            lo = tlg_min(lo, m[i].at.first);
            hi = tlg_max(hi, m[i].at.end);
        }
        for (long i = r; i < end; i++)
            FN(clear_outside)(row[i], m[i].at, lo, hi);
    }
    return FN(mix_rows)(j, b, g, r0, rows, m);
}

#undef RB
#undef NV
