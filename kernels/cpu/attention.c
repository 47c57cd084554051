// Attention: scores, pattern times values, and all three steps in one pass. The fused pass runs the
// very code of the separate steps on a few query rows at a time, so its bits are theirs.
//
// A unit of work is one sequence, one key/value head and some of its query rows (all query heads
// that share the key/value head). Keys are turned sixteen at a time into tiles [e][64], so that
// each score is an FMA chain over e of its own; z is an FMA chain over the keys, in order.
#ifndef TLG_ISA
#include "cpu.h"

#define TILE 64       // keys a tile
#define SCORES 131072 // scores kept a unit, at most (but for one block of rows)

typedef struct {
    const tlg_attention_shape *s;
    const float *q, *k, *v;
    tlg_strides qs, ks, vs;
    const uint8_t *mask;
    float *scores;        // written by tlg_scores
    const float *pattern; // read by tlg_mix
    float *z;
    long group;  // query heads that share a key/value head
    long chunks; // units a key/value head
    int failed;
} job;

// Query row r of a key/value head: position by position, its heads side by side, so that
// neighbouring rows see nearly the same keys.
typedef struct {
    long pos, head, lo, hi; // keys [lo, hi) may be seen, but for the padding mask
} query;

static query row_of(const job *j, long g, long r) {
    const tlg_attention_shape *s = j->s;
    query q = {.pos = r / j->group, .head = g * j->group + r % j->group, .hi = s->k_len};
    long at = q.pos + s->k_len - s->q_len;
    if (s->causal)
        q.hi = tlg_max(0, tlg_min(at + 1, s->k_len));
    if (s->window > 0)
        q.lo = tlg_max(0, at - s->window + 1);
    if (q.lo > q.hi)
        q.lo = q.hi;
    return q;
}

#define TLG_BODY "attention.c"
#include "each.h"

enum { FUSED, SCORES_ONLY, MIX_ONLY };

static void unit(job *j, long u, int what) {
    const tlg_attention_shape *s = j->s;
    long chunk = u % j->chunks, g = u / j->chunks % s->kv_heads, b = u / j->chunks / s->kv_heads;
    long all = j->group * s->q_len;
    long r0 = chunk * all / j->chunks, r1 = (chunk + 1) * all / j->chunks;
    int bad = what == FUSED         ? TLG_PICK(attend)(j, b, g, r0, r1)
              : what == SCORES_ONLY ? TLG_PICK(write_scores)(j, b, g, r0, r1)
                                    : TLG_PICK(mix_pattern)(j, b, g, r0, r1);
    if (bad)
        __atomic_store_n(&j->failed, 1, __ATOMIC_RELAXED);
}

static void fused_unit(void *j, long u) { unit(j, u, FUSED); }
static void scores_unit(void *j, long u) { unit(j, u, SCORES_ONLY); }
static void mix_unit(void *j, long u) { unit(j, u, MIX_ONLY); }

static int run(job *j, tlg_unit fn, long width) {
    const tlg_attention_shape *s = j->s;
    if (s->batch <= 0 || s->heads <= 0 || s->kv_heads <= 0 || s->q_len <= 0)
        return 0;
    if (s->k_len <= 0) { // no keys at all: empty sums
        if (j->z)
            memset(j->z, 0, (size_t)(s->batch * s->q_len * s->heads * s->value_dim) * sizeof *j->z);
        return 0;
    }
    j->group = s->heads / s->kv_heads;
    long all = j->group * s->q_len, pairs = s->batch * s->kv_heads;
    long most = tlg_max(4, tlg_min(128, SCORES / s->k_len) / 4 * 4);
    j->chunks = tlg_ceil(all, most);
    long want = 4 * tlg_threads(); // units enough to share out, but not less than 16 rows each
    if (pairs * j->chunks < want)
        j->chunks = tlg_max(j->chunks, tlg_min(tlg_ceil(want, pairs), tlg_ceil(all, 16)));
    double work = (double)s->batch * s->heads * s->q_len * s->k_len * (width / 25.0 + .5);
    tlg_for(pairs * j->chunks, work, fn, j);
    return j->failed;
}

int tlg_attention(const tlg_attention_shape *s, const float *q, const tlg_strides *qs,
                  const float *k, const tlg_strides *ks, const float *v, const tlg_strides *vs,
                  const uint8_t *mask, float *z) {
    job j = {.s = s, .q = q, .k = k, .v = v, .qs = *qs, .ks = *ks, .vs = *vs, .mask = mask, .z = z};
    return run(&j, fused_unit, s->head_dim + s->value_dim);
}

int tlg_scores(const tlg_attention_shape *s, const float *q, const tlg_strides *qs, const float *k,
               const tlg_strides *ks, const uint8_t *mask, float *scores) {
    job j = {.s = s, .q = q, .k = k, .qs = *qs, .ks = *ks, .mask = mask, .scores = scores};
    return run(&j, scores_unit, s->head_dim);
}

int tlg_mix(const tlg_attention_shape *s, const float *pattern, const float *v,
            const tlg_strides *vs, float *z) {
    job j = {.s = s, .v = v, .vs = *vs, .pattern = pattern, .z = z};
    return run(&j, mix_unit, s->value_dim);
}

#else
#include "attention_rows.h"
#endif
