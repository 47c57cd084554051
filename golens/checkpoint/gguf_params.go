// Reading a model's hyperparameters from GGUF metadata, and keeping count of which were read, so that one which
// would change the numbers is never passed over.
package checkpoint

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// required, as a fallback, makes a key's absence an error.
const required = -1

// ggufParams reads keys under the architecture's name. The first error stays.
type ggufParams struct {
	g    *GGUF
	arch string
	read map[string]bool
	err  error
}

func (p *ggufParams) key(name string) string {
	if p.read == nil {
		p.read = map[string]bool{}
	}
	p.read[name] = true
	return p.arch + "." + name
}

func (p *ggufParams) note(err error) {
	if p.err == nil {
		p.err = err
	}
}

// absent settles a key that is not there; false means that it is.
func (p *ggufParams) absent(err error, fallback bool) bool {
	if err == nil {
		return false
	}
	if !fallback || !errors.Is(err, ErrNoKey) {
		p.note(err)
	}
	return true
}

// count is a whole number that may be zero.
func (p *ggufParams) count(name string, fallback int) int {
	key := p.key(name)
	n, err := p.g.Int(key)
	if p.absent(err, fallback != required) {
		return fallback
	}
	if n < 0 || n > math.MaxInt32 {
		p.note(&FormatError{p.g.path, fmt.Sprintf("metadata %q", key), fmt.Sprint(n), "a size from 0 to 2147483647"})
	}
	return int(n)
}

// size is a whole number above zero.
func (p *ggufParams) size(name string, fallback int) int {
	n := p.count(name, fallback)
	if n == 0 {
		p.note(&FormatError{p.g.path, fmt.Sprintf("metadata %q", p.key(name)), "0", "a size above 0"})
	}
	return n
}

// real is a finite number above zero.
func (p *ggufParams) real(name string, fallback float64) float64 {
	key := p.key(name)
	v, err := p.g.Float(key)
	if p.absent(err, fallback != required) {
		return fallback
	}
	if !(v > 0) || math.IsInf(v, 0) {
		p.note(&FormatError{p.g.path, fmt.Sprintf("metadata %q", key), fmt.Sprint(v), "a finite number above 0"})
	}
	return v
}

func (p *ggufParams) text(name string) string {
	v, err := p.g.String(p.key(name))
	p.absent(err, true)
	return v
}

func (p *ggufParams) has(name string) bool { return p.g.Has(p.key(name)) }

// unsupported notes something well formed that would change the numbers and that nothing here models.
func (p *ggufParams) unsupported(format string, args ...any) {
	p.note(fmt.Errorf("checkpoint: %s: GGUF architecture %q: %w: %s", p.g.path, p.arch, ErrUnsupported, fmt.Sprintf(format, args...)))
}

// unread notes the first key of the architecture that was neither read nor is known not to matter.
func (p *ggufParams) unread(harmless ...string) {
	for _, name := range harmless {
		p.key(name)
	}
	for _, key := range p.g.keys {
		if name, ours := strings.CutPrefix(key, p.arch+"."); ours && !p.read[name] {
			p.unsupported("metadata key %q may change the numbers and is not known", key)
		}
	}
}
