// Root: a model's hook points as those of a HookedRootModule.
package model

import (
	"errors"
	"fmt"

	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
	"github.com/transformer-lens-go/transformer-lens-go/golens/hooked"
)

// ErrBackward is wrapped where a hook on gradients would never be called.
var ErrBackward = errors.New("model: hooks on gradients of an engine model are not built yet")

// Root is the interface of a HookedRootModule to the hook points of a model, whose runs pass values through them. What
// hooks return is converted to the model's dtype, and may broadcast to the value that it replaces.
func (m *Model) Root() *hooked.HookedRootModule {
	return &hooked.HookedRootModule{Hooks: m.Hooks, Convert: true, CheckHook: func(p *hook.Point, h hook.Handle, _ bool) error {
		if h.Dir == hook.Backward {
			return fmt.Errorf("%w: %s", ErrBackward, p.Name)
		}
		return nil
	}}
}
