package bitset_test

import (
	"slices"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/bitset"
)

func TestSet(t *testing.T) {
	s := bitset.Of(3, 64, 0, 200, 64)
	if got := slices.Collect(s.All()); !slices.Equal(got, []int{0, 3, 64, 200}) || s.Len() != 4 {
		t.Errorf("holds %v, %d of them", got, s.Len())
	}
	for i, want := range map[int]bool{-1: false, 0: true, 1: false, 64: true, 200: true, 201: false, 1 << 20: false} {
		if s.Has(i) != want {
			t.Errorf("Has(%d) is %v", i, !want)
		}
	}
	s.Remove(64)
	s.Remove(1 << 20)
	if s.Has(64) || s.Len() != 3 || s.Empty() || !bitset.Of().Empty() {
		t.Errorf("after Remove: %v", slices.Collect(s.All()))
	}
	for range s.All() {
		break
	}
	for _, n := range []int{0, 1, 63, 64, 65, 128} {
		if b := bitset.Below(n); b.Len() != n || b.Has(n) || (n > 0 && !b.Has(n-1)) {
			t.Errorf("Below(%d) holds %v", n, slices.Collect(b.All()))
		}
	}
}

func TestKeys(t *testing.T) {
	long := bitset.Of(1, 500)
	long.Remove(500)
	if string(long.AppendKey(nil)) != string(bitset.Of(1).AppendKey(nil)) {
		t.Error("equal sets of unlike length have unlike keys")
	}
	seen := map[string]bool{}
	for i := range 300 {
		for j := range 20 { // pairs of sets, one behind the other
			key := string(bitset.Of(j).AppendKey(bitset.Of(i).AppendKey(nil)))
			if seen[key] {
				t.Fatalf("%d and %d have a key that others have", i, j)
			}
			seen[key] = true
		}
	}
}
