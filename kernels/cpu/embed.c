// Rows of a table by index, widened.
#include "form.h"

#define VALUES_A_UNIT 16384

typedef struct {
    long rows, n, ldt, ld_add, ldo, rows_a_unit;
    int form;
    const void *table;
    const float *add;
    const int64_t *ids;
    float *out;
} job;

static void unit(void *p, long u) {
    job *j = p;
    long end = tlg_min((u + 1) * j->rows_a_unit, j->rows);
    for (long r = u * j->rows_a_unit; r < end; r++) {
        float *o = j->out + r * j->ldo;
        tlg_widen_here(j->form, j->n, tlg_at(j->form, j->table, j->ids[r] * j->ldt), o);
        if (j->add)
            tlg_add_here(j->n, o, j->add + r * j->ld_add);
    }
}

void tlg_gather(long rows, long n, int form, const void *table, long ldt, const int64_t *ids,
                const float *add, long ld_add, float *out, long ldo) {
    job j = {.rows = rows, .n = n, .form = form, .ldt = ldt, .ld_add = ld_add, .ldo = ldo};
    j.table = table;
    j.add = add;
    j.ids = ids;
    j.out = out;
    j.rows_a_unit = tlg_max(1, VALUES_A_UNIT / tlg_max(1, n));
    tlg_for(tlg_ceil(rows, j.rows_a_unit), (double)rows * n / 2, unit, &j);
}
