// Entry: one layer's past keys and values, in memory that is taken ahead and doubles when it is full.
package kvcache

import (
	"fmt"
	"sync"

	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// leastRoom is how many positions an entry has room for when it first needs any.
const leastRoom = 16

var errReleased = fmt.Errorf("%w: the entry was released", ErrMismatch)

// Entry is the past of one layer. Whether a use adds to it is that use's to say (Append or Extended; Cache.Freeze), so
// that many may read it while one adds. It is safe for concurrent use.
type Entry struct {
	mu           sync.Mutex
	keys, values series
	busy         bool // a run writes into the room
}

// NewEntry makes an entry that holds no positions.
func NewEntry(b backend.Backend, dt tensor.DType, batch, heads, dHead int) (*Entry, error) {
	e := &Entry{}
	for _, s := range []*series{&e.keys, &e.values} {
		empty, err := b.Alloc(dt, batch, 0, heads, dHead)
		if err != nil {
			e.Release()
			return nil, err
		}
		s.past = empty
	}
	return e, nil
}

// Release lets go of the memory; a run that is extending the entry ends first.
func (e *Entry) Release() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.keys.release()
	e.values.release()
}

// Len is how many positions the entry holds.
func (e *Entry) Len() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.keys.past == nil {
		return 0
	}
	return e.keys.past.Dim(1)
}

// Keys are the past keys [batch, pos, head, d_head], a view of the entry's own memory: what is written to it counts
// in the next run. It stays as it is when the entry grows. The caller releases it.
func (e *Entry) Keys() (*tensor.Tensor, error) { return e.view(&e.keys) }

// Values are the past values, as Keys.
func (e *Entry) Values() (*tensor.Tensor, error) { return e.view(&e.values) }

func (e *Entry) view(s *series) (*tensor.Tensor, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return view(s.past)
}

// view is another tensor over the same memory, so that holders in several threads count by themselves.
func view(t *tensor.Tensor) (*tensor.Tensor, error) {
	if t == nil {
		return nil, errReleased
	}
	return t.View(t.Shape(), t.Strides(), 0)
}

// Set makes these keys and values [batch, pos, head, d_head] the past; nil leaves what is there. They are not copied
// until the entry grows.
func (e *Entry) Set(keys, values *tensor.Tensor) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.busy {
		return ErrBusy
	}
	given := []*tensor.Tensor{keys, values}
	for _, t := range given {
		if err := checkRank(t); err != nil {
			return err
		}
	}
	for i, s := range []*series{&e.keys, &e.values} {
		if given[i] != nil {
			s.release()
			s.past = given[i].Retain()
		}
	}
	return nil
}

func checkRank(t *tensor.Tensor) error {
	if t != nil && len(t.Shape()) != 4 {
		return fmt.Errorf("%w: keys or values are %v, expected [batch, pos, head, d_head]", ErrMismatch, t.Shape())
	}
	return nil
}

// Crop keeps the first n positions.
func (e *Entry) Crop(n int) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.busy {
		return ErrBusy
	}
	if err := e.there(); err != nil {
		return err
	}
	if had := e.keys.past.Dim(1); n < 0 || n > had || n > e.values.past.Dim(1) {
		return fmt.Errorf("%w: %d positions cannot be cut to %d", ErrMismatch, had, n)
	}
	for _, s := range []*series{&e.keys, &e.values} {
		if err := s.cut(n); err != nil {
			return err
		}
	}
	return nil
}

// Append puts new keys and values [batch, pos, head, d_head] behind the past, keeps them there, and gives all of them.
// The caller releases them.
func (e *Entry) Append(b backend.Backend, keys, values *tensor.Tensor) (allKeys, allValues *tensor.Tensor, err error) {
	if err := checkRanks(keys, values); err != nil {
		return nil, nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.begin(b, keys.Dim(1)); err != nil {
		return nil, nil, err
	}
	allKeys, allValues, err = e.extended(b, keys, values)
	e.end(err == nil)
	return allKeys, allValues, err
}

// Extended is Append for a frozen entry: it gives all keys and values, and keeps none of the new ones.
func (e *Entry) Extended(b backend.Backend, keys, values *tensor.Tensor) (allKeys, allValues *tensor.Tensor, err error) {
	if err := checkRanks(keys, values); err != nil {
		return nil, nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.there(); err != nil {
		return nil, nil, err
	}
	past := Entry{keys: series{past: e.keys.past}, values: series{past: e.values.past}} // not what a run is writing
	return past.extended(b, keys, values)
}

// extended is all keys and all values. The lock is held.
func (e *Entry) extended(b backend.Backend, keys, values *tensor.Tensor) (allKeys, allValues *tensor.Tensor, err error) {
	allKeys, err = e.keys.extended(b, keys)
	if err != nil {
		return nil, nil, err
	}
	allValues, err = e.values.extended(b, values)
	if err != nil {
		allKeys.Release()
		return nil, nil, err
	}
	return allKeys, allValues, nil
}

func checkRanks(keys, values *tensor.Tensor) error {
	if err := checkRank(keys); err != nil {
		return err
	}
	return checkRank(values)
}

// there reports an entry whose memory is gone. The lock is held.
func (e *Entry) there() error {
	if e.keys.past == nil || e.values.past == nil {
		return errReleased
	}
	return nil
}

// begin makes room for n more positions, which a run then writes. The lock is held.
func (e *Entry) begin(b backend.Backend, n int) error {
	if e.busy {
		return ErrBusy
	}
	if err := e.there(); err != nil {
		return err
	}
	e.busy = true
	err := e.keys.open(b, n)
	if err == nil {
		err = e.values.open(b, n)
	}
	if err != nil {
		e.end(false)
	}
	return err
}

// wants is how many bytes of new memory n more positions take.
func (e *Entry) wants(n int) int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.keys.wants(n) + e.values.wants(n)
}

func (e *Entry) end(done bool) {
	e.keys.shut(done)
	e.values.shut(done)
	e.busy = false
}

// series is the keys, or the values, of an entry.
type series struct {
	past *tensor.Tensor // [batch, pos, head, d_head]
	room *tensor.Tensor // [batch, capacity, head, d_head], whose front past is; nil: past lies in memory of its own
	next *tensor.Tensor // past and the positions that a run is about to write; nil: nobody writes
}

// open makes room for n more positions. Where somebody else still holds a view of the memory, or it is full, the
// past moves to new memory first: so views never change, nor do writes to an old view reach what comes later.
func (s *series) open(b backend.Backend, n int) error {
	had := s.past.Dim(1)
	if s.moves(n) {
		if err := s.move(b, had+n); err != nil {
			return err
		}
	}
	next, err := s.front(had + n)
	if err != nil {
		return err
	}
	s.next = next
	return nil
}

// moves reports whether room for n more positions takes new memory.
func (s *series) moves(n int) bool {
	return s.room == nil || s.room.Dim(1) < s.past.Dim(1)+n || s.room.Storage().Refs() > 2
}

// capacity is how many positions memory for at least n has room for: twice what there was if that was too little.
func (s *series) capacity(n int) int {
	if s.room == nil {
		return max(leastRoom, n)
	}
	had := s.room.Dim(1)
	if had < n {
		return max(2*had, n)
	}
	return had
}

// wants is how many bytes of new memory room for n more positions takes.
func (s *series) wants(n int) int64 {
	if s.past == nil || !s.moves(n) {
		return 0
	}
	shape := s.past.Shape()
	bytes := float64(shape[0]) * float64(s.capacity(shape[1]+n)) * float64(shape[2]*shape[3]*s.past.DType().Size())
	return int64(min(bytes, 1<<62)) // a cache beyond all memory, not an overflow
}

// move takes memory for at least n positions and copies the past to it.
func (s *series) move(b backend.Backend, n int) error {
	capacity := s.capacity(n)
	shape := s.past.Shape()
	room, err := b.Alloc(s.past.DType(), shape[0], capacity, shape[2], shape[3])
	if err != nil {
		return err
	}
	if err := op.CopyBehind(b, room, 0, s.past); err != nil {
		room.Release()
		return err
	}
	moved := series{room: room}
	if moved.past, err = moved.front(shape[1]); err != nil {
		room.Release()
		return err
	}
	s.release()
	*s = moved
	return nil
}

// front is the first n positions of the room.
func (s *series) front(n int) (*tensor.Tensor, error) {
	shape := s.room.Shape()
	return s.room.View([]int{shape[0], n, shape[2], shape[3]}, s.room.Strides(), 0)
}

// shut ends what open began; with done, what was written is the past now.
func (s *series) shut(done bool) {
	next := s.next
	s.next = nil
	if done {
		s.past, next = next, s.past
	}
	next.Release()
}

// extended is past and added, in the room where open made some, else copied.
func (s *series) extended(b backend.Backend, added *tensor.Tensor) (*tensor.Tensor, error) {
	out, err := op.Apply(b, &op.Extend{}, s.past, s.next, added)
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// cut keeps the first n positions.
func (s *series) cut(n int) error {
	shape := s.past.Shape()
	shorter, err := s.past.View([]int{shape[0], n, shape[2], shape[3]}, s.past.Strides(), 0)
	if err != nil {
		return err
	}
	s.past.Release()
	s.past = shorter
	return nil
}

func (s *series) release() {
	s.past.Release()
	s.room.Release()
	s.next.Release()
	*s = series{}
}
