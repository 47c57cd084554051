// How a thread waits until a word of memory changes: a short while awake, then asleep.
#pragma once
#include <stdatomic.h>
#include <stdint.h>

// Waits awake until *word is no longer `seen`; 0 if that did not come about soon. How soon: after
// `patience` ns at most, and long before that while the machine has no cores to spare.
int tlg_spin(atomic_uint *word, unsigned seen, int64_t patience);

// Sleeps until tlg_wake, unless *word is no longer `seen`. May return for no reason.
void tlg_sleep(atomic_uint *word, unsigned seen);

// Wakes up to n of the threads that sleep until the word changes.
void tlg_wake(atomic_uint *word, int n);

// A helper's account of itself, to be given between its pieces of work: by it all threads know
// whether the machine has cores to spare.
void tlg_account(void);
