// The part that every kind of checkpoint shares: a table of entries over mapped files, loading, closing.
package checkpoint

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/transformer-lens-go/transformer-lens-go/golens/modelfile"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// catalog implements Source over storages that have been parsed and checked.
type catalog struct {
	path    string
	names   []string
	entries map[string]Entry
	blocks  bool // holds quantised tensors; where Load unpacks them all, the mapping goes afterwards

	mu       sync.RWMutex // held for reading while mapped memory is read
	storages []*tensor.Storage
	closed   bool
}

// mapFile maps a regular file that has something in it.
func mapFile(path, what string) (*tensor.Storage, error) {
	file, size, err := modelfile.Open(path, what+" file")
	if err != nil {
		return nil, asFormat(err)
	}
	defer file.Close()
	if size == 0 {
		return nil, &FormatError{path, "file", "an empty file", "a " + what + " file"}
	}
	storage, err := tensor.MapFile(path)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: open %s file: %w", what, err)
	}
	return storage, nil
}

// asFormat puts this package's name on an error about a file.
func asFormat(err error) error {
	var wrong *modelfile.Error
	if errors.As(err, &wrong) {
		return &FormatError{wrong.Path, "file", wrong.Found, wrong.Want}
	}
	return fmt.Errorf("checkpoint: %w", err)
}

// add takes entries that lie in storage, and the reference to it.
func (c *catalog) add(storage *tensor.Storage, entries []Entry) {
	if c.entries == nil {
		c.entries = make(map[string]Entry, len(entries))
	}
	c.storages = append(c.storages, storage)
	for _, e := range entries {
		e.storage = storage
		c.names = append(c.names, e.Name)
		c.entries[e.Name] = e
		c.blocks = c.blocks || kinds[e.Kind].length > 1
	}
}

// Path is the file that was opened.
func (c *catalog) Path() string { return c.path }

// Names lists the tensors in the file's order.
func (c *catalog) Names() []string { return slices.Clone(c.names) }

// Entry describes a tensor.
func (c *catalog) Entry(name string) (Entry, bool) {
	e, ok := c.entries[name]
	return e, ok
}

// smallTensor is the size in bytes up to which a tensor of a quantised file is copied and not mapped. The norms among its
// weights are all that would keep it mapped, and with each of them come the pages around it.
const smallTensor = 1 << 16

// Load gives a tensor as contiguous float32; see Source.
func (c *catalog) Load(name string) (*tensor.Tensor, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	e, err := c.find(name)
	if err != nil {
		return nil, err
	}
	info := kinds[e.Kind]
	if info.widen == nil {
		return nil, fmt.Errorf("checkpoint: %s: tensor %q is stored as %s: %w; kinds that can be loaded: %s",
			c.path, name, e.Kind, ErrUnsupported, loadableKinds())
	}
	if e.Kind == F32 && e.offset%4 == 0 && (!c.blocks || e.size > smallTensor) {
		return c.wrap(name)(tensor.FromStorage(e.storage, e.offset, tensor.Float32, e.Shape, nil))
	}
	t, err := tensor.New(tensor.Float32, e.Shape...)
	if err != nil {
		return c.wrap(name)(nil, err)
	}
	widen(e.Kind, t.Float32s(), e.data())
	e.storage.Forget(e.offset, e.size)
	return t, nil
}

// LoadRaw gives a tensor as it is stored; see Source.
func (c *catalog) LoadRaw(name string) (*tensor.Tensor, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	e, err := c.find(name)
	if err != nil {
		return nil, err
	}
	dtype, shape := kinds[e.Kind].dtype, e.Shape
	if dtype == notRaw {
		dtype, shape = tensor.Uint8, e.byteShape()
	}
	if dtype.Blocked() || e.offset%dtype.Size() == 0 { // blocks are read byte by byte, wherever they lie
		return c.wrap(name)(tensor.FromStorage(e.storage, e.offset, dtype, shape, nil))
	}
	t, err := tensor.New(dtype, shape...)
	if err != nil {
		return c.wrap(name)(nil, err)
	}
	copy(t.Bytes(), e.data())
	return t, nil
}

// Close gives back the catalog's references to the mapped files. Closing twice is no error.
func (c *catalog) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, s := range c.storages {
		s.Release()
	}
	c.storages = nil
	return nil
}

func (c *catalog) find(name string) (Entry, error) {
	if c.closed {
		return Entry{}, fmt.Errorf("checkpoint: %s: tensor %q: %w", c.path, name, ErrClosed)
	}
	e, ok := c.entries[name]
	if !ok {
		return e, fmt.Errorf("checkpoint: %s: %w: %q; it has %d tensors%s", c.path, ErrNotFound, name, len(c.names), c.near(name))
	}
	return e, nil
}

// near offers names that end as the wanted one does, for the commonest mistake is a wrong prefix.
func (c *catalog) near(name string) string {
	parts := strings.Split(name, ".")
	for keep := len(parts) - 1; keep >= 2; keep-- {
		suffix := strings.Join(parts[len(parts)-keep:], ".")
		var found []string
		for _, n := range c.names {
			if strings.HasSuffix(n, suffix) && len(found) < 4 {
				found = append(found, strconv.Quote(n))
			}
		}
		if found != nil {
			return ", near ones are " + strings.Join(found, ", ")
		}
	}
	return ""
}

func (c *catalog) wrap(name string) func(*tensor.Tensor, error) (*tensor.Tensor, error) {
	return func(t *tensor.Tensor, err error) (*tensor.Tensor, error) {
		if err != nil {
			return nil, fmt.Errorf("checkpoint: %s: load tensor %q: %w", c.path, name, err)
		}
		return t, nil
	}
}

func (e Entry) data() []byte { return e.storage.Bytes()[e.offset : e.offset+e.size] }

// byteShape is the shape of the tensor's bytes: rows that are whole blocks keep their dimensions.
func (e Entry) byteShape() []int {
	info := kinds[e.Kind]
	last := len(e.Shape) - 1
	if last < 0 || e.Shape[last]%info.length != 0 {
		return []int{e.size}
	}
	shape := slices.Clone(e.Shape)
	shape[last] = shape[last] / info.length * info.bytes
	return shape
}

func loadableKinds() string {
	var names []string
	for k := range kinds {
		if Kind(k).Loadable() {
			names = append(names, Kind(k).String())
		}
	}
	return strings.Join(names, ", ")
}

// span is the part of a data section that a tensor claims.
type span struct {
	begin, end uint64
	name       string
}

// checkSpans finds tensors that share bytes, and bytes in front of a tensor that none claims.
func checkSpans(path string, spans []span) error {
	slices.SortFunc(spans, func(a, b span) int {
		if a.begin != b.begin {
			return cmp.Compare(a.begin, b.begin)
		}
		return cmp.Compare(a.end, b.end)
	})
	var reached uint64
	last := "the start of the data"
	for _, s := range spans {
		if s.begin != reached {
			return &FormatError{path, fmt.Sprintf("tensor %q offset", clip(s.name)), strconv.FormatUint(s.begin, 10),
				fmt.Sprintf("%d, where %s ends (tensors may not overlap or leave gaps)", reached, last)}
		}
		reached, last = s.end, fmt.Sprintf("tensor %q", clip(s.name))
	}
	return nil
}
