/* Python objects as owners of memory that the engine uses. The last release of such memory may come
 * on any thread, without the GIL and with locks held: what is to be let go is put on a list there,
 * and is let go by the next who holds the GIL and no lock. */
#include "glue.h"

typedef struct loan {
    PyObject *object;
    struct loan *next;
} loan;

/* A stack without a lock, so that a fork at any moment leaves it whole; it is only taken as a
 * whole. */
static loan *returned;

void glue_let_go(void) {
    if (!__atomic_load_n(&returned, __ATOMIC_RELAXED))
        return;
    loan *l = __atomic_exchange_n(&returned, NULL, __ATOMIC_ACQUIRE);
    while (l) {
        loan *next = l->next;
        PyObject *object = l->object;
        free(l);
        Py_DECREF(object);
        l = next;
    }
}

static int pending(void *Py_UNUSED(unused)) {
    glue_let_go();
    return 0;
}

/* Behind the interpreter's end nothing is let go: the list stays as it is. */
static void give_back(tlg_storage *s) {
    loan *l = (loan *)s->whose, *first = __atomic_load_n(&returned, __ATOMIC_RELAXED);
    do
        l->next = first;
    while (
        !__atomic_compare_exchange_n(&returned, &first, l, 1, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
    if (!first && Py_IsInitialized())
        Py_AddPendingCall(pending, NULL); /* refused when many wait: then somebody lets go soon */
}

const tlg_owner glue_object = {.free = give_back, .lent = 1};

intptr_t glue_loan(PyObject *object) {
    loan *l = malloc(sizeof *l);
    if (!l)
        return 0;
    l->object = Py_NewRef(object);
    return (intptr_t)l;
}
