// How much longer a text may become on its way to tokens, or back: steps that each double it would fill any
// memory. Touches nothing but what the chains of steps tell it.

package tokenizer

import "fmt"

const (
	growthFactor = 64
	growthBase   = 1 << 14
)

// growthLimit is the length in bytes that a text of n may have after any step. Normal forms make at most
// eleven bytes of one, spelling bytes two.
func growthLimit(n int) int { return growthBase + growthFactor*n }

// tooLong is the error about a step (counted from 0) that makes too much of a text of n bytes.
func tooLong(what string, step, steps, n int) error {
	return fmt.Errorf("tokenizer: step %d of %d of the %s makes more than %d bytes of a text of %d, the most that is allowed (%d for each and %d)",
		step+1, steps, what, growthLimit(n), n, growthFactor, growthBase)
}

// grower is a step that a few bytes of a file may have make any number of bytes: it is told how many are
// allowed, and says ok = false instead of making more.
type grower interface {
	normalizeWithin(p piece, limit int) (q piece, ok bool, err error)
}

// normalizeStep runs one step within the limit.
func normalizeStep(n normalizer, p piece, limit int) (q piece, ok bool, err error) {
	if g, can := n.(grower); can {
		return g.normalizeWithin(p, limit)
	}
	q, err = n.normalize(p)
	return q, len(q.text) <= limit, err
}

func totalLength(tokens []string) int {
	n := 0
	for _, t := range tokens {
		n += len(t)
	}
	return n
}
