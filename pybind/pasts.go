// Pasts: the entries of KV caches. A run is given them by number; what a cache is made of stays Python's business.
package pybind

import (
	"fmt"

	"github.com/transformer-lens-go/transformer-lens-go/golens/kvcache"
	"github.com/transformer-lens-go/transformer-lens-go/golens/model"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

var entries = newTable[*kvcache.Entry]("cache entry")

// EntryNew makes a cache entry of no positions.
func EntryNew(dtype string, batch, heads, dHead int64) (h int64, err error) {
	defer guard(&err)
	if err := enter(); err != nil {
		return 0, err
	}
	dt, err := tensor.ParseDType(dtype)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errValue, err)
	}
	e, err := kvcache.NewEntry(model.DefaultBackend(), dt, int(batch), int(heads), int(dHead))
	if err != nil {
		return 0, err
	}
	return entries.add(e), nil
}

// EntryClose ends an entry. Views of it stay valid.
func EntryClose(h int64) (out int64, err error) {
	defer guard(&err)
	e, err := entries.take(h)
	if err != nil {
		return 0, err
	}
	e.Release()
	return 0, nil
}

// EntryLen is how many positions an entry holds.
func EntryLen(h int64) (n int64, err error) {
	defer guard(&err)
	e, err := entries.get(h)
	if err != nil {
		return 0, err
	}
	return int64(e.Len()), nil
}

// EntryKeys gives a handle to the past keys.
func EntryKeys(h int64) (out int64, err error) {
	defer guard(&err)
	return exportPast(h, (*kvcache.Entry).Keys)
}

// EntryValues gives a handle to the past values.
func EntryValues(h int64) (out int64, err error) {
	defer guard(&err)
	return exportPast(h, (*kvcache.Entry).Values)
}

func exportPast(h int64, get func(*kvcache.Entry) (*tensor.Tensor, error)) (int64, error) {
	e, err := entries.get(h)
	if err != nil {
		return 0, err
	}
	t, err := get(e)
	if err != nil {
		return 0, err
	}
	defer t.Release()
	return export(t)
}

// EntrySet makes tensors the past keys and values; 0 leaves what is there.
func EntrySet(h, keys, values int64) (out int64, err error) {
	defer guard(&err)
	e, err := entries.get(h)
	if err != nil {
		return 0, err
	}
	a := &asker{run: &active{}}
	defer a.release()
	k, v := a.tensor(keys), a.tensor(values)
	if a.err != nil {
		return 0, a.err
	}
	return 0, e.Set(k, v)
}

// EntryAppend puts new keys and values behind the past, and keeps them there unless frozen. It tells, as Run does, of
// extra tensors: all keys and all values.
func EntryAppend(h, keys, values int64, frozen bool) (out string, err error) {
	defer guard(&err)
	e, err := entries.get(h)
	if err != nil {
		return "", err
	}
	a := &asker{run: &active{}}
	defer a.release()
	k, v := a.tensor(keys), a.tensor(values)
	if a.err != nil {
		return "", a.err
	}
	if k == nil || v == nil {
		return "", fmt.Errorf("%w: keys and values go together", errValue)
	}
	put := e.Append
	if frozen {
		put = e.Extended
	}
	allKeys, allValues, err := put(model.DefaultBackend(), k, v)
	if err != nil {
		return "", err
	}
	return tell(&model.Result{Extra: []*tensor.Tensor{allKeys, allValues}})
}

// EntryCrop keeps the first n positions.
func EntryCrop(h, n int64) (out int64, err error) {
	defer guard(&err)
	e, err := entries.get(h)
	if err != nil {
		return 0, err
	}
	return 0, e.Crop(int(n))
}

// past is the question's KV cache.
type past struct {
	Entries []int64 `json:"entries"` // by layer
	Frozen  []bool  `json:"frozen"`  // by layer; left out: none is
	Rotated bool    `json:"rotated"`
}

// cache puts the entries together for one run.
func (p *past) cache() (*kvcache.Cache, error) {
	if p == nil {
		return nil, nil
	}
	c := &kvcache.Cache{Rotated: p.Rotated}
	if p.Frozen != nil && len(p.Frozen) != len(p.Entries) {
		return nil, fmt.Errorf("%w: %d cache entries, and %d that are frozen or not", errValue, len(p.Entries), len(p.Frozen))
	}
	for i, h := range p.Entries {
		e, err := entries.get(h)
		if err != nil {
			return nil, err
		}
		c.Entries = append(c.Entries, e)
		c.FreezeLayer(i, p.Frozen != nil && p.Frozen[i]) // for this run: others may use the entry otherwise
	}
	return c, nil
}
