// Positions: which keys attention may see, and where in the sequence tokens stand; both derived from masks.
package model

import (
	"fmt"

	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// span is the part of a sequence that a run is about: pos tokens behind past ones that a cache holds.
type span struct {
	batch, pos, past int
	all              bool // past keys are rotated in this run too: positions are those of past and new tokens
}

func (s span) total() int { return s.past + s.pos }

// givePositions hands over the mask [batch, past + pos] (nil: none) and the positions, which are derived from it where
// they are not given: a row of a padded batch stands where it would stand alone, whatever the run starts from. It
// returns what it made, for the caller to release.
func (m *Model) givePositions(a *asking, mask, positions *tensor.Tensor, s span) (made []*tensor.Tensor, err error) {
	if mask != nil {
		keys, err := keyMask(mask, s.batch, s.total())
		if err != nil {
			return nil, err
		}
		if keys != nil {
			made = append(made, keys)
			a.env.Given.Put(a.mask, keys)
		}
	}
	columns := s.pos
	if s.all {
		columns = s.total()
	}
	if positions == nil {
		positions, err = derivePositions(mask, s.total()-columns, columns)
		if err != nil {
			return made, err
		}
		made = append(made, positions)
	}
	if d := positions.Shape(); len(d) != 2 || (d[0] != 1 && d[0] != s.batch) || d[1] != columns || positions.DType() != tensor.Int64 {
		return made, fmt.Errorf("%w: positions are %s %v, expected int64 [1 or %d, %d]", ErrInput, positions.DType(), d, s.batch, columns)
	}
	if m.Spec.Position.PerRow && positions.Dim(0) < s.batch {
		if positions, err = repeatRow(positions, s.batch); err != nil {
			return made, err
		}
		made = append(made, positions)
	}
	a.env.Given.Put(a.positions, positions)
	return made, nil
}

// repeatRow writes one row [1, pos] out for each sequence of a batch.
func repeatRow(row *tensor.Tensor, batch int) (*tensor.Tensor, error) {
	t, err := tensor.New(tensor.Int64, batch, row.Dim(1))
	if err != nil {
		return nil, err
	}
	for i := range batch {
		copy(t.Int64s()[i*row.Dim(1):], row.Int64s())
	}
	return t, nil
}

// keyMask is the mask as attention reads it, or nil when it masks nothing.
func keyMask(mask *tensor.Tensor, batch, pos int) (*tensor.Tensor, error) {
	if mask.DType() != tensor.Int64 || len(mask.Shape()) != 2 || mask.Dim(0) != batch || mask.Dim(1) != pos || !mask.Contiguous() {
		return nil, fmt.Errorf("%w: the attention mask is %s %v with strides %v, expected contiguous int64 [%d, %d]", ErrInput, mask.DType(), mask.Shape(), mask.Strides(), batch, pos)
	}
	keys, err := tensor.New(tensor.Uint8, batch, pos)
	if err != nil {
		return nil, err
	}
	all := true
	for i, v := range mask.Int64s() {
		keys.Uint8s()[i] = 1
		if v == 0 {
			keys.Uint8s()[i], all = 0, false
		}
	}
	if all {
		keys.Release()
		return nil, nil
	}
	return keys, nil
}

// derivePositions gives the positions of pos tokens behind skip others: counted among the real tokens in rows where
// padding stands in front of one, and skip, skip + 1, … elsewhere.
func derivePositions(mask *tensor.Tensor, skip, pos int) (*tensor.Tensor, error) {
	rows := 1
	if mask != nil && shifted(mask) {
		rows = mask.Dim(0)
	} else {
		mask = nil
	}
	t, err := tensor.New(tensor.Int64, rows, pos)
	if err != nil {
		return nil, err
	}
	counted := make([]int64, skip+pos)
	for i := range rows {
		var row []int64
		if mask != nil {
			row = mask.Int64s()[i*len(counted) : (i+1)*len(counted)]
			if !rowShifted(row) {
				row = nil
			}
		}
		count(counted, row)
		copy(t.Int64s()[i*pos:(i+1)*pos], counted[skip:])
	}
	return t, nil
}

// count numbers the real tokens of a row; a masked one repeats the position in front of it, 0 at the start.
func count(out, mask []int64) {
	n := int64(0)
	for i := range out {
		if mask == nil || mask[i] != 0 {
			n++
		}
		out[i] = max(n-1, 0)
	}
}

func shifted(mask *tensor.Tensor) bool {
	for i := range mask.Dim(0) {
		if rowShifted(mask.Int64s()[i*mask.Dim(1) : (i+1)*mask.Dim(1)]) {
			return true
		}
	}
	return false
}

// rowShifted: a masked position stands in front of a real one.
func rowShifted(row []int64) bool {
	masked := false
	for _, v := range row {
		if v == 0 {
			masked = true
		} else if masked {
			return true
		}
	}
	return false
}
