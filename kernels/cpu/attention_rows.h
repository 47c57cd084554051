// The row code of attention.c, once per instruction set: scores of a unit's rows, and their patterns
// times the values.
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

// Scores of RB rows with one tile of keys, into out[row][TILE].
TLG_FN TLG_INLINE void FN(score_tile)(const float *const *q, long e, const float *kt, float scale,
                                      float *out) {
    for (long c = 0; c < TILE; c += 16 * NV) {
        vf s[RB][NV];
#pragma GCC unroll 4
        for (int r = 0; r < RB; r++)
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
            for (int r = 0; r < RB; r++) {
                vf x = v_set1(q[r][d]);
#pragma GCC unroll 4
                for (int v = 0; v < NV; v++)
                    s[r][v] = v_fma(x, key[v], s[r][v]);
            }
        }
#pragma GCC unroll 4
        for (int r = 0; r < RB; r++)
#pragma GCC unroll 4
            for (int v = 0; v < NV; v++)
                v_store(out + r * TILE + c + v * 16, v_mul(s[r][v], v_set1(scale)));
    }
}

// Puts scores of keys [k0, k0+n) where the row may see them, and TLG_MASKED elsewhere.
TLG_FN TLG_INLINE void FN(put_scores)(const query *q, const uint8_t *mask, long k0, long n,
                                      const float *tile, float *row) {
    for (long c = 0; c < n; c += 16) {
        long at = k0 + c, m = tlg_min(16, n - c);
        vf x = v_load(tile + c);
        if (at < q->lo || at + m > q->hi || mask) {
            float see[16];
            for (long l = 0; l < 16; l++)
                see[l] = at + l >= q->lo && at + l < q->hi && (!mask || (l < m && mask[at + l]));
            x = v_sel(v_lt(v_set1(0), v_load(see)), x, v_set1(TLG_MASKED));
        }
        v_storen(row + at, x, m);
    }
}

// Scores of query rows [r0, r1) of one head into rows[(r - r0) * ld]. With `whole` every key is
// written; otherwise only the tiles which the row sees something of.
TLG_FN static void FN(score_rows)(const job *j, long b, long g, long r0, long r1, int whole,
                                  float *kt, float *const *rows) {
    const tlg_attention_shape *s = j->s;
    const float *k = j->k + b * j->ks.batch + g * j->ks.head;
    const uint8_t *mask = j->mask ? j->mask + b * s->k_len : NULL;
    float tile[RB * TILE];
    for (long k0 = 0; k0 < s->k_len; k0 += TILE) {
        long n = tlg_min(TILE, s->k_len - k0), turned = 0;
        for (long r = r0; r < r1; r += RB) {
            query at[RB];
            const float *q[RB];
            int seen = 0;
            for (long i = 0; i < RB; i++) {
                at[i] = row_of(j, g, tlg_min(r + i, r1 - 1));
                q[i] = j->q + b * j->qs.batch + at[i].pos * j->qs.pos + at[i].head * j->qs.head;
                seen |= at[i].lo < k0 + n && at[i].hi > k0;
            }
            if (seen && !turned++)
                FN(turn_keys)(k + k0 * j->ks.pos, j->ks.pos, n, s->head_dim, kt);
            if (seen)
                FN(score_tile)(q, s->head_dim, kt, s->scale, tile);
            else if (!whole)
                continue;
            for (long i = 0; i < tlg_min(RB, r1 - r); i++) {
                if (!seen)
                    at[i].hi = at[i].lo = 0;
                FN(put_scores)(&at[i], mask, k0, n, tile + i * TILE, rows[r + i - r0]);
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

// z[row][c .. c+16*NV) += p[row][k0 .. k1) * values, for RB rows; columns past `width` are not read.
TLG_FN TLG_INLINE void FN(mix_tile)(const float *const *p, long k0, long k1, const float *v,
                                    long stride, long c, long width, float *const *z) {
    long left = width - c;
    vf acc[RB][NV];
#pragma GCC unroll 4
    for (int r = 0; r < RB; r++)
#pragma GCC unroll 4
        for (int i = 0; i < NV; i++)
            acc[r][i] = v_load(z[r] + c + i * 16);
    for (long k = k0; k < k1; k++) {
        const float *row = v + k * stride + c;
        vf x[NV];
#pragma GCC unroll 4
        for (int i = 0; i < NV; i++)
            x[i] = left >= 16 * NV ? v_load(row + i * 16)
                                   : v_loadn(row + i * 16, tlg_max(0, left - i * 16));
#pragma GCC unroll 4
        for (int r = 0; r < RB; r++) {
            vf y = v_set1(p[r][k]);
#pragma GCC unroll 4
            for (int i = 0; i < NV; i++)
                acc[r][i] = v_fma(y, x[i], acc[r][i]);
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < RB; r++)
#pragma GCC unroll 4
        for (int i = 0; i < NV; i++)
            v_store(z[r] + c + i * 16, acc[r][i]);
}

// One row again, leaving out the keys of probability 0: their values may be inf or NaN.
TLG_FN static void FN(mix_careful)(const float *p, tlg_row at, const float *v, long stride,
                                   long width, float *z) {
    for (long c = 0; c < width; c += 16) {
        vf acc = v_set1(0);
        for (long k = at.first; k < at.end; k++)
            if (p[k] != 0)
                acc = v_fma(v_set1(p[k]), v_loadn(v + k * stride + c, width - c), acc);
        v_store(z + c, acc);
    }
}

// p[r] times the values of one head, for nr <= RB rows whose probabilities are zero outside at[r].
// A zero probability adds nothing: with finite values the chain passes over it unchanged (-0 ends as
// +0), and a row that comes out not finite is done again with the zeros left out.
TLG_FN static void FN(mix_rows)(const job *j, long b, long g, const float *const *p,
                                const tlg_row *at, const query *q, long nr, float *zbuf) {
    const tlg_attention_shape *s = j->s;
    const float *v = j->v + b * j->vs.batch + g * j->vs.head;
    long width = s->value_dim, ld = tlg_ceil(width, 64) * 64;
    long lo = s->k_len, hi = 0;
    float *z[RB];
    for (long r = 0; r < RB; r++) {
        z[r] = zbuf + r * ld;
        if (r < nr && at[r].first < at[r].end) {
            lo = tlg_min(lo, at[r].first);
            hi = tlg_max(hi, at[r].end);
        }
    }
    memset(zbuf, 0, RB * ld * sizeof *zbuf);
    for (long k = lo; k < hi; k += TILE)
        for (long c = 0; c < width; c += 16 * NV)
            FN(mix_tile)(p, k, tlg_min(k + TILE, hi), v, j->vs.pos, c, width, z);
    for (long r = 0; r < nr; r++) {
        vf bad = v_set1(0);
        for (long c = 0; c < width; c += 16)
            bad = v_fma(v_load(z[r] + c), v_set1(0), bad);
        if (v_bits(v_nan(bad)))
            FN(mix_careful)(p[r], at[r], v, j->vs.pos, width, z[r]);
        float *out = j->z + ((b * s->q_len + q[r].pos) * s->heads + q[r].head) * width;
        for (long c = 0; c < width; c += 16) {
            vf x = v_add(v_load(z[r] + c), v_set1(0));
            v_storen(out + c, x, tlg_min(16, width - c));
        }
    }
}

// From the first to one past the last probability that is not zero.
TLG_FN static tlg_row FN(nonzero)(const float *p, long n) {
    tlg_row r = {n, n, 0};
    vf zero = v_set1(0);
    long j = 0;
    for (; j < n; j += 16) {
        vf x = v_abs(v_loadn(p + j, n - j));
        uint32_t some = ~v_bits(v_le(x, zero)) & v_bits(v_head(n - j));
        if (some) {
            r.first = j + __builtin_ctz(some);
            break;
        }
    }
    if (r.first == n)
        return r;
    while (r.end > r.first && p[r.end - 1] == 0)
        r.end--;
    return r;
}

TLG_FN static int FN(mix_pattern)(job *j, long b, long g, long r0, long r1) {
    const tlg_attention_shape *s = j->s;
    float *zbuf = tlg_scratch(TLG_SLOT_B, RB * tlg_ceil(s->value_dim, 64) * 64 * sizeof *zbuf);
    if (!zbuf)
        return 1;
    for (long r = r0; r < r1; r += RB) {
        query q[RB];
        const float *p[RB];
        tlg_row at[RB];
        for (long i = 0; i < RB; i++) {
            q[i] = row_of(j, g, tlg_min(r + i, r1 - 1));
            p[i] = j->pattern + ((b * s->heads + q[i].head) * s->q_len + q[i].pos) * s->k_len;
            at[i] = FN(nonzero)(p[i], s->k_len);
        }
        FN(mix_rows)(j, b, g, p, at, q, tlg_min(RB, r1 - r), zbuf);
    }
    return 0;
}

// Zeroes row p outside of what `at` covers, between lo and hi.
TLG_FN TLG_INLINE void FN(clear_outside)(float *p, tlg_row at, long lo, long hi) {
    for (long k = lo; k < at.first; k++)
        p[k] = 0;
    for (long k = tlg_max(at.end, lo); k < hi; k++)
        p[k] = 0;
}

TLG_FN static int FN(attend)(job *j, long b, long g, long r0, long r1) {
    const tlg_attention_shape *s = j->s;
    long zsize = RB * tlg_ceil(s->value_dim, 64) * 64, ld = s->k_len, rows = r1 - r0;
    float *kt = tlg_scratch(TLG_SLOT_B, (TILE * s->head_dim + zsize) * sizeof *kt);
    float *buf = tlg_scratch(TLG_SLOT_A, rows * ld * sizeof *buf);
    float **row = tlg_scratch(TLG_SLOT_ROWS, rows * sizeof *row);
    if (!kt || !buf || !row)
        return 1;
    for (long r = 0; r < rows; r++)
        row[r] = buf + r * ld;
    FN(score_rows)(j, b, g, r0, r1, 0, kt, row);
    for (long r = r0; r < r1; r += RB) {
        query q[RB];
        const float *p[RB];
        tlg_row at[RB];
        long lo = s->k_len, hi = 0, nr = tlg_min(RB, r1 - r);
        for (long i = 0; i < nr; i++) {
            q[i] = row_of(j, g, r + i);
            float *x = row[r + i - r0];
            p[i] = x;
            at[i] = FN(softmax_row)(s->k_len, q[i].lo, q[i].hi, x, x);
            lo = tlg_min(lo, at[i].first);
            hi = tlg_max(hi, at[i].end);
        }
        for (long i = 0; i < nr; i++)
            FN(clear_outside)((float *)p[i], at[i], lo, hi);
        for (long i = nr; i < RB; i++)
            p[i] = p[0];
        FN(mix_rows)(j, b, g, p, at, q, nr, kt + TILE * s->head_dim);
    }
    return 0;
}

#undef RB
#undef NV
