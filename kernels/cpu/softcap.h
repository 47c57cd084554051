// The soft cap of one vector, shared by the kernel of that name and by attention, so that both give
// the same bits. Included once per instruction set.
#include "vec.h"

TLG_FN TLG_INLINE vf FN(cap)(vf x, float cap) {
    vf c = v_set1(cap);
    return v_mul(c, v_tanh(v_div(x, c)));
}
