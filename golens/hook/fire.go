// Fire: the one place where a hook is called.
package hook

import (
	"fmt"

	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// Func is a hook in Go. It may edit t in place; a tensor that it returns replaces the value, nil leaves it.
// A returned tensor is taken over: the run releases it.
type Func func(t *tensor.Tensor, p *Point) (*tensor.Tensor, error)

// Caller calls a hook whose function lives in another language; the rules are those of Func.
type Caller func(h *Handle, p *Point, t *tensor.Tensor) (*tensor.Tensor, error)

// Edge is the value at a hook point, as the executor lets hooks at it.
type Edge interface {
	// Exclusive is the value in memory that nobody else holds, so that a hook may write to it.
	Exclusive() (*tensor.Tensor, error)
	// Replace makes t the value from here on; it takes over t's reference.
	Replace(t *tensor.Tensor) error
}

// Fire calls the hooks of one point in order; each sees what the one before left. Hooks that are added at this
// point meanwhile wait for the next time, ones that are removed are still called this time, as in torch.
func (r *Registry) Fire(p *Point, dir Direction, edge Edge, foreign Caller) error {
	for _, h := range p.hooks(dir) {
		t, err := edge.Exclusive()
		if err != nil {
			return fmt.Errorf("hook %s: %w", p.Name, err)
		}
		call := foreign
		if h.Fn != nil {
			call = func(h *Handle, p *Point, t *tensor.Tensor) (*tensor.Tensor, error) { return h.Fn(t, p) }
		}
		if call == nil {
			return fmt.Errorf("hook %s: hook %d has no function here", p.Name, h.ID)
		}
		out, err := call(h, p, t)
		if err != nil {
			return fmt.Errorf("hook %s: %w", p.Name, err)
		}
		if out == nil || out == t {
			continue
		}
		if err := edge.Replace(out); err != nil {
			return fmt.Errorf("hook %s: %w", p.Name, err)
		}
	}
	return nil
}
