package pybind

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestFaultM6WorkThatLastsLooksForSignals: it is asked on and on, ends when it is told to, and nothing is left of it.
func TestFaultM6WorkThatLastsLooksForSignals(t *testing.T) {
	looks, dropped := 0, 0
	cb := func(run, hook, tensor int64) int64 {
		if run != 0 || hook != pollHook || tensor != 0 {
			t.Errorf("called with %d, %d, %d", run, hook, tensor)
		}
		if looks++; looks == 3 {
			return callbackRaised
		}
		return 0
	}
	start := time.Now()
	_, err := looking(cb, func(ctx context.Context) (int, error) {
		<-ctx.Done()
		return 7, nil // too late: it was made, and must go
	}, func(made int) { dropped += made })
	if !errors.Is(err, errRaised) || looks != 3 || dropped != 7 {
		t.Errorf("got %v after %d looks, dropped %d", err, looks, dropped)
	}
	if took := time.Since(start); took < 2*lookEvery {
		t.Errorf("three looks in %v", took)
	}
	if lookEvery > 50*time.Millisecond {
		t.Errorf("looks are %v apart", lookEvery)
	}
}

func TestLookingPassesResultsErrorsAndPanicsOn(t *testing.T) {
	never := func(run, hook, tensor int64) int64 { return 0 }
	drop := func(int) { t.Error("dropped") }
	made, err := looking(never, func(context.Context) (int, error) { return 5, nil }, drop)
	if made != 5 || err != nil {
		t.Errorf("got %d, %v", made, err)
	}
	boom := errors.New("boom")
	if _, err := looking(never, func(context.Context) (int, error) { return 0, boom }, drop); !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	if _, err := looking(never, func(context.Context) (int, error) { panic("oops") }, drop); err == nil {
		t.Error("a panic got lost")
	}
}
