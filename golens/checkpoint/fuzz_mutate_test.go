package checkpoint

import (
	"math"
	"runtime"
	"slices"
	"testing"
)

// choices turns fuzzed bytes into decisions; when they are used up, every decision is the first.
type choices struct{ data []byte }

func (c *choices) more() bool { return len(c.data) > 0 }

func (c *choices) of(n int) int {
	if n <= 1 || len(c.data) == 0 {
		return 0
	}
	b := int(c.data[0])
	c.data = c.data[1:]
	if n > 256 && len(c.data) > 0 {
		b = b<<8 | int(c.data[0])
		c.data = c.data[1:]
	}
	return b % n
}

func (c *choices) pick(words ...string) string { return words[c.of(len(words))] }

// number is near the one that was there, or where something ends.
func (c *choices) number(was uint64) uint64 {
	edges := []uint64{was + 1, was - 1, was * 2, was / 2, 0, 1, was + 32, was - 32, 1 << 31, 1 << 32, 1<<53 + 1, 1 << 62,
		math.MaxInt64, math.MaxUint64, math.MaxUint64 - 31}
	return edges[c.of(len(edges))]
}

// oneBehindTheOther is what accepted files have: tensors that fill their data, at most `filling` bytes between two.
func oneBehindTheOther(t *testing.T, data []byte, entries []Entry, filling int) {
	t.Helper()
	exercise(t, data, entries)
	sorted := slices.Clone(entries)
	slices.SortStableFunc(sorted, func(a, b Entry) int {
		if a.offset != b.offset {
			return a.offset - b.offset
		}
		return a.size - b.size
	})
	for i := 1; i < len(sorted); i++ {
		end := sorted[i-1].offset + sorted[i-1].size
		if gap := sorted[i].offset - end; gap < 0 || gap >= filling {
			t.Fatalf("%d bytes between %+v and %+v", gap, sorted[i-1], sorted[i])
		}
	}
	if n := len(sorted); n > 0 {
		if behind := len(data) - sorted[n-1].offset - sorted[n-1].size; behind < 0 || behind >= filling {
			t.Fatalf("%d bytes behind the last tensor, %+v", behind, sorted[n-1])
		}
	}
}

// frugal fails where reading data took more memory than its size explains.
func frugal(t *testing.T, data []byte, read func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	read()
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 4<<20+uint64(len(data))*200 {
		t.Fatalf("%d bytes of memory for a file of %d", took, len(data))
	}
}
