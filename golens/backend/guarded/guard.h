/* Memory that is unreadable but while somebody says that it is used. */
#ifndef TLG_GUARD_H
#define TLG_GUARD_H
#include "storage.h"

extern const tlg_owner tlg_guarded;

/* Whole pages behind which nothing is mapped, closed; NULL when there are none. Data of `bytes` end
 * at their end as nearly as an alignment of 64 allows. */
void *tlg_guard_new(int64_t bytes);

/* use: 0 closed, 1 to read, 2 to read and write. Returns 0, or -1. */
int tlg_guard_set(void *data, int64_t bytes, int use);
#endif
