// Copies between arbitrarily strided float32 tensors. A source stride of 0 broadcasts.
#include "cpu.h"

typedef struct {
    int dims;
    long shape[TLG_MAX_DIMS], from[TLG_MAX_DIMS], to[TLG_MAX_DIMS];
    const float *src;
    float *dst;
    long inner; // dims below this are looped over by units
} job;

// Drops axes of length 1 and joins neighbours that lie one behind the other in both tensors.
static void squeeze(job *j) {
    int d = 0;
    for (int i = 0; i < j->dims; i++) {
        if (j->shape[i] == 1)
            continue;
        if (d && j->from[d - 1] == j->shape[i] * j->from[i] &&
            j->to[d - 1] == j->shape[i] * j->to[i]) {
            j->shape[d - 1] *= j->shape[i];
            j->from[d - 1] = j->from[i];
            j->to[d - 1] = j->to[i];
            continue;
        }
        j->shape[d] = j->shape[i];
        j->from[d] = j->from[i];
        j->to[d] = j->to[i];
        d++;
    }
    if (!d) {
        j->shape[0] = 1;
        j->from[0] = j->to[0] = 1;
        d = 1;
    }
    j->dims = d;
}

static void line(long n, const float *src, long from, float *dst, long to) {
    if (from == 1 && to == 1) {
        memcpy(dst, src, (size_t)n * sizeof *dst);
    } else if (from == 0 && to == 1) {
        float x = *src;
        for (long i = 0; i < n; i++)
            dst[i] = x;
    } else {
        for (long i = 0; i < n; i++)
            dst[i * to] = src[i * from];
    }
}

// Two axes; in squares where one tensor runs along rows and the other along columns, so that each
// cache line is used whole.
#define SQUARE 16
static void plane(const job *j, const float *src, float *dst) {
    int a = j->dims - 2, b = j->dims - 1;
    long na = j->shape[a], nb = j->shape[b];
    if (j->from[b] <= 1 || j->from[a] >= j->from[b]) {
        for (long i = 0; i < na; i++)
            line(nb, src + i * j->from[a], j->from[b], dst + i * j->to[a], j->to[b]);
        return;
    }
    for (long x = 0; x < nb; x += SQUARE)
        for (long i = 0; i < na; i++) {
            long n = tlg_min(SQUARE, nb - x);
            line(n, src + i * j->from[a] + x * j->from[b], j->from[b],
                 dst + i * j->to[a] + x * j->to[b], j->to[b]);
        }
}

static void unit(void *p, long u) {
    const job *j = p;
    const float *src = j->src;
    float *dst = j->dst;
    for (long d = j->inner - 1; d >= 0; d--) {
        src += u % j->shape[d] * j->from[d];
        dst += u % j->shape[d] * j->to[d];
        u /= j->shape[d];
    }
    if (j->dims - j->inner == 2)
        plane(j, src, dst);
    else
        line(j->shape[j->dims - 1], src, j->from[j->dims - 1], dst, j->to[j->dims - 1]);
}

// Cuts the outermost axis in pieces where there is nothing else to share out.
static void split(job *j, long values) {
    if (j->inner > 0 || j->dims >= TLG_MAX_DIMS || values < 65536)
        return;
    long parts = 0;
    for (long p = 64; p > 1 && !parts; p /= 2)
        if (j->shape[0] % p == 0)
            parts = p;
    if (!parts)
        return;
    for (int d = j->dims; d > 0; d--) {
        j->shape[d] = j->shape[d - 1];
        j->from[d] = j->from[d - 1];
        j->to[d] = j->to[d - 1];
    }
    j->shape[0] = parts;
    j->shape[1] /= parts;
    j->from[0] = j->shape[1] * j->from[1];
    j->to[0] = j->shape[1] * j->to[1];
    j->dims++;
    j->inner = 1;
}

void tlg_copy_strided(int dims, const int64_t *shape, const float *src, const int64_t *src_strides,
                      float *dst, const int64_t *dst_strides) {
    job j = {.dims = dims, .src = src, .dst = dst};
    long values = 1;
    for (int d = 0; d < dims; d++) {
        j.shape[d] = shape[d];
        j.from[d] = src_strides[d];
        j.to[d] = dst_strides[d];
        values *= shape[d];
    }
    if (values <= 0)
        return;
    squeeze(&j);
    j.inner = j.dims > 2 ? j.dims - 2 : 0;
    split(&j, values);
    long units = 1;
    for (long d = 0; d < j.inner; d++)
        units *= j.shape[d];
    tlg_for(units, (double)values / 2, unit, &j);
}
