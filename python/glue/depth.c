/* Runs within hooks of runs: each takes some of its thread's C stack, which Python does not count.
 */
#include "glue.h"

#include <pthread.h>

enum {
    DEEPEST = 500,        /* runs, one in a hook of the other */
    RESERVE = 512 * 1024, /* bytes of stack that a run and its innermost hook may need */
};

static _Thread_local int depth;
static _Thread_local int known;    /* whether bottom was looked up */
static _Thread_local char *bottom; /* of this thread's stack; NULL: unknown */

static char *find_bottom(void) {
    void *address = NULL;
#ifdef __linux__
    pthread_attr_t attributes;
    size_t size;
    if (pthread_getattr_np(pthread_self(), &attributes))
        return NULL;
    if (pthread_attr_getstack(&attributes, &address, &size))
        address = NULL;
    pthread_attr_destroy(&attributes);
#endif
    return address;
}

/* How deep this run is; -1 with RecursionError set where that is too deep. */
int glue_descend(void) {
    char here;
    if (depth > 0 && !known) { /* most threads never nest any */
        bottom = find_bottom();
        known = 1;
    }
    int short_of_stack = depth > 0 && bottom && &here < bottom + RESERVE;
    if (depth >= DEEPEST || short_of_stack) {
        PyErr_Format(PyExc_RecursionError,
                     "%d runs of models are nested, each in a hook of the one around it%s: the "
                     "limit is %d, whatever "
                     "sys.setrecursionlimit says",
                     depth,
                     short_of_stack ? ", and this thread's stack has no room for another" : "",
                     DEEPEST);
        return -1;
    }
    return ++depth;
}

void glue_ascend(void) {
    depth--;
}
