package tensor

import (
	"math/rand/v2"
	"sync"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// storage takes memory, and writes to its ends what put it there.
func storage(t testing.TB, bytes int, mark byte) *Storage {
	t.Helper()
	s, err := NewStorage(bytes)
	if err != nil {
		t.Fatal(err)
	}
	if b := s.Bytes(); bytes > 0 {
		b[0], b[bytes/2], b[bytes-1] = mark, mark, mark
	}
	return s
}

// minorFaults is how often a page of this process was had from the system.
func minorFaults(t testing.TB) int64 {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return u.Minflt
}

func TestThePoolKeepsExtentsApart(t *testing.T) {
	const threads, rounds = 8, 3000
	before := Count()
	var all sync.WaitGroup
	for thread := range threads {
		all.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(thread)))
			held := make([]*Storage, 20)
			for range rounds {
				i := random.IntN(len(held))
				mark := byte(thread*len(held) + i)
				if s := held[i]; s != nil {
					if b := s.Bytes(); len(b) > 0 && (b[0] != mark || b[len(b)/2] != mark || b[len(b)-1] != mark) {
						t.Errorf("%d bytes hold %d, %d and %d, want %d: somebody else wrote there", len(b), b[0], b[len(b)/2], b[len(b)-1], mark)
						return
					}
					s.Release()
				}
				bytes := random.IntN(1 << (4 + random.IntN(18)))
				held[i] = storage(t, bytes, mark)
				if uintptr(unsafe.Pointer(unsafe.SliceData(held[i].Bytes())))%64 != 0 {
					t.Error("not 64-byte aligned")
				}
				if random.IntN(500) == 0 {
					EmptyPool()
				}
			}
			for _, s := range held {
				if s != nil {
					s.Release()
				}
			}
		})
	}
	all.Wait()
	EmptyPool()
	if got := Count(); got.Storages != before.Storages || got.Bytes != before.Bytes || got.PoolBytes > before.PoolBytes {
		t.Errorf("left over: %+v, before %+v", got, before)
	}
}

// What runs of many lengths take and release, in an order of its own: some lasts to the end of the run.
func someRun(t testing.TB, length int) {
	var kept []*Storage
	for range 12 {
		hidden := storage(t, length*768*4, 1)
		wide := storage(t, length*3072*4, 1)
		scores := storage(t, 12*length*length*4+4, 1)
		kept = append(kept, storage(t, length*768*4, 1))
		clear(wide.Bytes())
		clear(scores.Bytes())
		for _, s := range []*Storage{hidden, scores, wide} {
			s.Release()
		}
	}
	logits := storage(t, length*20000*4, 1)
	clear(logits.Bytes())
	logits.Release()
	for _, s := range kept {
		s.Release()
	}
}

func TestMixedLengthsUseTheSameMemory(t *testing.T) {
	EmptyPool()
	random := rand.New(rand.NewPCG(2, 2))
	someRun(t, 256)
	most := Count().PoolBytes
	for range 50 { // lengths and orders that leave other pieces
		someRun(t, 1+random.IntN(256))
	}
	settled, faults := Count().PoolBytes, minorFaults(t)
	const runs = 200
	for range runs {
		someRun(t, 1+random.IntN(256))
	}
	if now := Count().PoolBytes; now > settled+1<<20 || now > most*5/4 {
		t.Errorf("%d bytes rest after the longest run, %d after some and %d after many of other lengths", most, settled, now)
	}
	if each := float64(minorFaults(t)-faults) / runs; each > 20 {
		t.Errorf("%.1f pages a run were had from the system", each)
	}
	EmptyPool()
}

func TestThePoolGoesPastAGigabyte(t *testing.T) {
	EmptyPool()
	const bytes = 300 << 20
	take := func() {
		var all []*Storage
		for range 5 {
			all = append(all, storage(t, bytes, 1)) // few of the pages are written to
		}
		for _, s := range all {
			s.Release()
		}
	}
	take()
	if rests := Count().PoolBytes; rests < 5*bytes {
		t.Errorf("%d bytes rest, want the %d that were in use", rests, 5*bytes)
	}
	if faults := minorFaults(t); Available() > 4*5*bytes {
		take()
		if more := minorFaults(t) - faults; more > 5 {
			t.Errorf("%d pages were had from the system for what rested", more)
		}
	}
	EmptyPool()
	if rests := Count().PoolBytes; rests > 1<<20 {
		t.Errorf("%d bytes rest in a pool that was emptied", rests)
	}
}

func TestWhatNobodyUsesIsLetGo(t *testing.T) {
	EmptyPool()
	big, lasting := storage(t, 100<<20, 1), storage(t, 40<<20, 2)
	big.Release()
	small := func(times int) {
		for range times {
			storage(t, 100<<10, 1).Release()
		}
	}
	small(1000)
	if rests := Count().PoolBytes; rests < 100<<20 {
		t.Fatalf("%d bytes rest after few others were taken", rests)
	}
	small(6 * 16384)
	if rests := Count().PoolBytes; rests > 8<<20 {
		t.Errorf("%d bytes rest after many others were taken", rests)
	}
	if lasting.Bytes()[0] != 2 || lasting.Bytes()[40<<20-1] != 2 {
		t.Error("what was in use was let go")
	}
	again := storage(t, 100<<20, 3)
	clear(again.Bytes())
	again.Release()
	lasting.Release()
	EmptyPool()
}

func BenchmarkTakeAndRelease(b *testing.B) {
	for b.Loop() {
		s, err := NewStorage(48 << 10)
		if err != nil {
			b.Fatal(err)
		}
		s.Release()
	}
}
