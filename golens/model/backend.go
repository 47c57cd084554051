// Backend: the device that models compute on; the one place that names the CPU's.
package model

import (
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend"
	"github.com/transformer-lens-go/transformer-lens-go/golens/backend/cpu"
)

// DefaultBackend is what models compute on unless Options say otherwise, and what works on the host's memory.
func DefaultBackend() backend.Backend { return cpu.CPU{} }

// device is the backend that the options ask for.
func (o *Options) device() backend.Backend {
	if o.Backend != nil {
		return o.Backend
	}
	return DefaultBackend()
}
