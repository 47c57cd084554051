// Looking: work that takes long, while the thread that asked for it looks now and then whether to go on.
package pybind

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// lookEvery is how far apart the looks are. A signal handler in Python, Ctrl-C among them, waits no longer.
const lookEvery = 25 * time.Millisecond

// ended is what a function gives that was called back and told to end. Python raises what it has stashed.
const ended = -1

// looking has something made elsewhere, and asks cb meanwhile, on this thread, whether to go on. When it is told not
// to, the context ends, what was made in spite of that is dropped, and errRaised comes back: then nothing is left.
func looking[T any](cb func(run, hook, tensor int64) int64, make_ func(context.Context) (T, error), drop func(T)) (T, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var made T
	done := make(chan error, 1)
	go func() {
		var err error
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("internal error of the engine (please report it): %v\n%s", r, debug.Stack())
			}
			done <- err
		}()
		made, err = make_(ctx)
	}()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var raised error
	for {
		select {
		case err := <-done:
			if raised != nil && err == nil {
				drop(made)
			}
			return made, errors.Join(raised, err)
		case <-tick.C:
			if raised == nil && cb(0, pollHook, 0) == callbackRaised {
				raised = errRaised
				cancel()
			}
		}
	}
}

// handed gives what was made a number in its table; ended where a callback raised.
func handed[T any](t *table[T], made T, err error) (int64, error) {
	switch {
	case errors.Is(err, errRaised):
		return ended, nil
	case err != nil:
		return 0, err
	}
	return t.add(made), nil
}
