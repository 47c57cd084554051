// Tests of forward passes that go on from a KV cache: the bits are those of the whole sequence, and a cache that does
// not fit is never used.
package model_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
	"github.com/transformer-lens-go/transformer-lens-go/golens/kvcache"
	"github.com/transformer-lens-go/transformer-lens-go/golens/model"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

func newCache(t testing.TB, m *model.Model, batch int, rotated bool) *kvcache.Cache {
	t.Helper()
	c, err := m.NewCache(batch, rotated)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Release)
	return c
}

// tokensOf are the tokens first to last-1 of each row.
func tokensOf(t testing.TB, ids *tensor.Tensor, first, last int) *tensor.Tensor {
	t.Helper()
	var part []int64
	for row := range ids.Dim(0) {
		part = append(part, ids.Int64s()[row*ids.Dim(1)+first:row*ids.Dim(1)+last]...)
	}
	return integers(t, part, ids.Dim(0), last-first)
}

// eachKind runs a test for each family and for both kinds of keys.
func eachKind(t *testing.T, f func(t *testing.T, m *model.Model, rotated bool)) {
	t.Helper()
	for _, rotated := range []bool{true, false} {
		t.Run(fmt.Sprint("rotated ", rotated), func(t *testing.T) {
			each(t, func(t *testing.T, m *model.Model) { f(t, m, rotated) })
		})
	}
}

func TestCachedRunsHaveTheBitsOfTheWhole(t *testing.T) {
	eachKind(t, func(t *testing.T, m *model.Model, rotated bool) {
		const pos, pads = 41, 3
		ids := words(t, 2, pos)
		mask := slices.Repeat([]int64{1}, 2*pos)
		copy(mask, make([]int64, pads)) // the first row is padded
		in := asking(ids)
		in.Mask = integers(t, mask, 2, pos)
		in.Keep = everything
		want := kept(m, run(t, m, in).Kept)
		c := newCache(t, m, 2, rotated)
		at := 0
		for _, n := range []int{5, 1, 1, 17, 2, 1, 14} {
			in := asking(tokensOf(t, ids, at, at+n))
			in.Past = c
			in.Keep = everything
			if at == 0 {
				in.Mask = tokensOf(t, integers(t, mask, 2, pos), 0, n)
			}
			got := kept(m, run(t, m, in).Kept)
			for name, v := range got {
				if v.DType() != tensor.Float32 || len(v.Shape()) != 3 || v.Dim(0) != 2 || v.Dim(1) != n {
					continue // scores and patterns, and keys of past and new tokens, have other shapes
				}
				for row := range 2 {
					from := at
					if row == 0 {
						from = max(at, pads)
					}
					width := v.Dim(2)
					whole := want[name].Float32s()[(row*pos+from)*width : (row*pos+at+n)*width]
					sameBits(t, fmt.Sprintf("%s from %d, row %d", name, at, row), v.Float32s()[(row*n+from-at)*width:(row+1)*n*width], whole)
				}
			}
			if s := got["blocks.1.attn.hook_pattern"].Shape(); !slices.Equal(s, []int{2, 4, n, at + n}) {
				t.Errorf("the pattern from %d on is %v", at, s)
			}
			at += n
			if c.Len() != at {
				t.Fatalf("the cache holds %d positions, want %d", c.Len(), at)
			}
		}
	})
}

func TestStepsOverManyPositions(t *testing.T) {
	eachKind(t, func(t *testing.T, m *model.Model, rotated bool) {
		const pos = 210
		ids := words(t, 1, pos)
		want := run(t, m, asking(ids)).Output
		c := newCache(t, m, 1, rotated)
		for at := range pos {
			in := asking(tokensOf(t, ids, at, at+1))
			in.Past = c
			r, err := m.Forward(context.Background(), in)
			if err != nil {
				t.Fatal(err)
			}
			sameBits(t, fmt.Sprint("position ", at), r.Output.Float32s(), want.Float32s()[at*vocab:(at+1)*vocab])
			r.Release()
		}
	})
}

func TestFrozenPrefix(t *testing.T) {
	eachKind(t, func(t *testing.T, m *model.Model, rotated bool) {
		c := newCache(t, m, 1, rotated)
		whole := words(t, 1, 30)
		in := asking(tokensOf(t, whole, 0, 9))
		in.Past = c
		run(t, m, in)
		c.Freeze()
		keys, err := c.Entries[1].Keys()
		if err != nil {
			t.Fatal(err)
		}
		defer keys.Release()
		want := copied(run(t, m, asking(whole)).Output)[9*vocab:]
		for range 3 {
			in := asking(tokensOf(t, whole, 9, 30))
			in.Past = c
			sameBits(t, "a continuation", run(t, m, in).Output.Float32s(), want)
			if c.Len() != 9 {
				t.Fatalf("a frozen cache grew to %d positions", c.Len())
			}
		}
		c.Unfreeze()
		in = asking(tokensOf(t, whole, 9, 30))
		in.Past = c
		sameBits(t, "after unfreezing", run(t, m, in).Output.Float32s(), want)
		if c.Len() != 30 || keys.Dim(1) != 9 {
			t.Errorf("%d positions in the cache, %d in the view taken before", c.Len(), keys.Dim(1))
		}
	})
}

// TestEditsCount: what is written to a view of the past is what the next run sees, and only that.
func TestEditsCount(t *testing.T) {
	m := tiny(t, "gpt2")
	run2 := func(edit func(c *kvcache.Cache)) []float32 {
		c := newCache(t, m, 1, false)
		in := asking(words(t, 1, 6))
		in.Past = c
		run(t, m, in)
		edit(c)
		in = asking(words(t, 1, 2))
		in.Past = c
		return copied(run(t, m, in).Output)
	}
	zero := func(get func(*kvcache.Entry) (*tensor.Tensor, error)) func(c *kvcache.Cache) {
		return func(c *kvcache.Cache) {
			v, err := get(c.Entries[0])
			if err != nil {
				t.Fatal(err)
			}
			clear(v.Float32s())
			v.Release()
		}
	}
	plain := run2(func(*kvcache.Cache) {})
	for what, edit := range map[string]func(*kvcache.Cache){"keys": zero((*kvcache.Entry).Keys), "values": zero((*kvcache.Entry).Values)} {
		if slices.Equal(run2(edit), plain) {
			t.Errorf("edited %s do not count", what)
		}
	}
}

// TestARunThatFailsAddsNothing: a hook that fails half way leaves the cache as it was, and usable.
func TestARunThatFailsAddsNothing(t *testing.T) {
	eachKind(t, func(t *testing.T, m *model.Model, rotated bool) {
		ids := words(t, 1, 20)
		c := newCache(t, m, 1, rotated)
		in := asking(tokensOf(t, ids, 0, 8))
		in.Past = c
		run(t, m, in)
		boom := errors.New("boom")
		remove := hookOn(t, m, "blocks.1.attn.hook_pattern", func(*tensor.Tensor, *hook.Point) (*tensor.Tensor, error) { return nil, boom })
		rest := asking(tokensOf(t, ids, 8, 20))
		rest.Past = c
		if _, err := m.Forward(context.Background(), rest); !errors.Is(err, boom) {
			t.Fatalf("got %v", err)
		}
		remove()
		for layer, e := range c.Entries {
			if e.Len() != 8 {
				t.Fatalf("layer %d holds %d positions", layer, e.Len())
			}
		}
		sameBits(t, "the next run", run(t, m, rest).Output.Float32s(), copied(run(t, m, asking(ids)).Output)[8*vocab:])
	})
}

// TestNothingWantedStillFills: a run that returns nothing fills the cache, and a hook sees only what is new.
func TestNothingWantedStillFills(t *testing.T) {
	eachKind(t, func(t *testing.T, m *model.Model, rotated bool) {
		ids := words(t, 1, 12)
		c := newCache(t, m, 1, rotated)
		in := asking(tokensOf(t, ids, 0, 7))
		in.Past, in.Output = c, model.OutputNone
		run(t, m, in)
		rest := asking(tokensOf(t, ids, 7, 12))
		rest.Past = c
		sameBits(t, "behind it", run(t, m, rest).Output.Float32s(), copied(run(t, m, asking(ids)).Output)[7*vocab:])
	})
}

// TestFlagsAndHooksMeetTheCache: split inputs and hooks that add hooks do not change what the cache holds.
func TestFlagsAndHooksMeetTheCache(t *testing.T) {
	eachKind(t, func(t *testing.T, m *model.Model, rotated bool) {
		ids := words(t, 1, 12)
		want := copied(run(t, m, asking(ids)).Output)[7*vocab:]
		c := newCache(t, m, 1, rotated)
		flipped := false
		remove := hookOn(t, m, "blocks.1.hook_in", func(*tensor.Tensor, *hook.Point) (*tensor.Tensor, error) {
			flipped = !flipped
			return nil, m.Set("use_split_qkv_input", flipped)
		})
		first := asking(tokensOf(t, ids, 0, 7))
		first.Past = c
		run(t, m, first)
		rest := asking(tokensOf(t, ids, 7, 12))
		rest.Past = c
		sameBits(t, "with a flag flipped in each run", run(t, m, rest).Output.Float32s(), want)
		remove()
	})
}

func TestCachesThatDoNotFit(t *testing.T) {
	m := tiny(t, "llama")
	filled := func(batch, pos int) *kvcache.Cache {
		c := newCache(t, m, batch, true)
		in := asking(words(t, batch, pos))
		in.Past = c
		run(t, m, in)
		return c
	}
	short := filled(1, 4)
	t.Cleanup(short.Entries[2].Release)
	short.Entries = short.Entries[:2]
	other := newCache(t, m, 1, true)
	wide, err := tensor.Zeros(tensor.Float32, 1, 4, 2, 4)
	if err != nil {
		t.Fatal(err)
	}
	defer wide.Release()
	if err := other.Entries[1].Set(wide, wide); err != nil {
		t.Fatal(err)
	}
	apart := filled(1, 4)
	if err := apart.Entries[2].Crop(3); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]*kvcache.Cache{"layers": short, "batch": filled(2, 4), "heads": other, "lengths": apart} {
		in := asking(words(t, 1, 3))
		in.Past = c
		if r, err := m.Forward(context.Background(), in); !errors.Is(err, kvcache.ErrMismatch) {
			t.Errorf("%s: got %v, %v", what, r, err)
		}
	}
	both := native(t, map[string]any{"attention_dir": "bidirectional"})
	in := asking(words(t, 1, 3))
	in.Past = newCache(t, both, 1, true)
	if _, err := both.Forward(context.Background(), in); !errors.Is(err, kvcache.ErrMismatch) {
		t.Errorf("a model that looks both ways: %v", err)
	}
	in = asking(words(t, 1, 3))
	in.Past = filled(1, 4)
	in.Mask = integers(t, []int64{1, 1}, 1, 2)
	if _, err := m.Forward(context.Background(), in); !errors.Is(err, model.ErrInput) {
		t.Errorf("a mask of another length: %v", err)
	}
}

// TestOneRunExtendsACacheAtATime: a hook that runs the model on the cache that its own run extends gets an error.
func TestOneRunExtendsACacheAtATime(t *testing.T) {
	m := tiny(t, "gpt2")
	c := newCache(t, m, 1, true)
	in := asking(words(t, 1, 3))
	in.Past = c
	var inner error
	remove := hookOn(t, m, "blocks.1.hook_in", func(*tensor.Tensor, *hook.Point) (*tensor.Tensor, error) {
		again := *in
		again.Silent = true
		_, inner = m.Forward(context.Background(), &again)
		return nil, nil
	})
	defer remove()
	run(t, m, in)
	if !errors.Is(inner, kvcache.ErrBusy) {
		t.Errorf("got %v", inner)
	}
	if c.Len() != 3 {
		t.Errorf("%d positions", c.Len())
	}
}

// TestCachesInEveryDType: a cache is of the model's dtype, the bits are those of the whole, and a cache of another
// dtype is refused.
func TestCachesInEveryDType(t *testing.T) {
	eachKind(t, func(t *testing.T, m *model.Model, rotated bool) {
		ids := words(t, 2, 9)
		for _, dt := range dtypes {
			old := newCache(t, m, 2, rotated)
			convert(t, m, dt)
			want := bits(run(t, m, asking(ids)).Output)
			c := newCache(t, m, 2, rotated)
			row := len(want) / 2 / 9
			for _, piece := range [][2]int{{0, 4}, {4, 5}, {5, 9}} {
				in := asking(tokensOf(t, ids, piece[0], piece[1]))
				in.Past = c
				in.Mask = integers(t, slices.Repeat([]int64{1}, 2*(piece[1]-piece[0])), 2, piece[1]-piece[0])
				got := bits(run(t, m, in).Output)
				for b := range 2 {
					n := (piece[1] - piece[0]) * row
					if !bytes.Equal(got[b*n:(b+1)*n], want[(b*9+piece[0])*row:(b*9+piece[1])*row]) {
						t.Fatalf("%s, positions %v, row %d: other bits than in the whole", dt, piece, b)
					}
				}
			}
			in := asking(ids)
			in.Past = old
			if _, err := m.Forward(context.Background(), in); !errors.Is(err, kvcache.ErrMismatch) {
				t.Errorf("a cache of another dtype than %s: %v", dt, err)
			}
		}
	})
}
