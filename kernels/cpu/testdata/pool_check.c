// A program of its own that uses the pool of threads as hosts do: many callers at once, regions
// inside regions, pauses in which helpers fall asleep, a fork, an exit while regions are open.
// pool_test.go builds it from the package's own files, with and without ThreadSanitizer.
#include "../cpu.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define UNITS 37
#define MUCH 1e9 // work enough for every thread

static void need(int so, const char *what) {
    if (so)
        return;
    fprintf(stderr, "pool_check: %s\n", what);
    _exit(1);
}

typedef struct {
    int done[UNITS]; // plain: that units are finished must be seen by the caller
    int depth;
} sheet;

static void fill(sheet *s, int depth);

static void unit(void *p, long u) {
    sheet *s = p;
    s->done[u]++;
    if (s->depth && u % 9 == 0) {
        sheet inner;
        fill(&inner, s->depth - 1);
    }
}

static void fill(sheet *s, int depth) {
    memset(s, 0, sizeof *s);
    s->depth = depth;
    tlg_for(UNITS, MUCH, unit, s);
    for (int i = 0; i < UNITS; i++)
        need(s->done[i] == 1, "a unit did not run once");
}

static void *caller(void *number) {
    long me = (long)number;
    for (int i = 0; i < 300; i++) {
        sheet s;
        fill(&s, i % 50 == 0 ? 2 : 0);
        if (i % 60 == me)
            usleep(3000); // longer than helpers stay awake
        if (me == 0 && i % 20 == 0)
            tlg_set_threads(2 + i / 20 % 4);
    }
    return NULL;
}

static void many_callers(void) {
    enum { CALLERS = 20 }; // more than there can be regions
    pthread_t t[CALLERS];
    for (long i = 0; i < CALLERS; i++)
        need(!pthread_create(&t[i], NULL, caller, (void *)i), "no thread");
    for (int i = 0; i < CALLERS; i++)
        pthread_join(t[i], NULL);
}

// Regions need no helpers: a child has none at first, and then its own.
static void forked(void) {
    pid_t child = fork();
    if (!child) {
        alarm(60);
        for (int i = 0; i < 50; i++) {
            sheet s;
            fill(&s, 1);
        }
        _exit(0);
    }
    int status = -1;
    need(child > 0 && waitpid(child, &status, 0) == child && status == 0,
         "the child did not end well");
}

static void *endless(void *unused) {
    for (;;) {
        sheet s;
        fill(&s, 0);
    }
    return unused;
}

int main(int argc, char **argv) {
    tlg_set_threads(4);
    many_callers();
    if (argc > 1 && !strcmp(argv[1], "fork"))
        forked();
    pthread_t t;
    need(!pthread_create(&t, NULL, endless, NULL), "no thread");
    pthread_detach(t);
    usleep(20000);
    return 0; // exit handlers run while a region is open
}
