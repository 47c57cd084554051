// Operands: the tensors of a kernel's arguments, as backends go through them whatever the kernel.
package backend

import "github.com/transformer-lens-go/transformer-lens-go/golens/tensor"

// Use says what a kernel does with an operand.
type Use uint8

// The uses of an operand; Masked may stand beside either.
const (
	Read   Use = 1 << iota
	Write      // not read
	Masked     // scores, of which masked ones are the lowest number of the dtype
)

// Operand is a field of a kernel's arguments; the tensor in it may be nil.
type Operand struct {
	T   **tensor.Tensor
	Use Use
}

// maxOperands is how many tensors a kernel may have.
const maxOperands = 6

// Operands is a short list. It is a value, so that going through it takes no memory.
type Operands struct {
	list [maxOperands]Operand
	n    int
}

// Reads begins a list by what a kernel reads.
func Reads(tensors ...**tensor.Tensor) Operands { return Operands{}.Reads(tensors...) }

// Reads adds what a kernel reads.
func (o Operands) Reads(tensors ...**tensor.Tensor) Operands { return o.add(Read, tensors) }

// Writes adds what a kernel writes.
func (o Operands) Writes(tensors ...**tensor.Tensor) Operands { return o.add(Write, tensors) }

// ReadsScores and WritesScores add scores, of which some may be masked.
func (o Operands) ReadsScores(t **tensor.Tensor) Operands {
	return o.add(Read|Masked, []**tensor.Tensor{t})
}

// WritesScores adds scores that a kernel writes.
func (o Operands) WritesScores(t **tensor.Tensor) Operands {
	return o.add(Write|Masked, []**tensor.Tensor{t})
}

func (o Operands) add(use Use, tensors []**tensor.Tensor) Operands {
	for _, t := range tensors {
		o.list[o.n] = Operand{t, use}
		o.n++
	}
	return o
}

// Len is how many there are.
func (o *Operands) Len() int { return o.n }

// At is one of them.
func (o *Operands) At(i int) Operand { return o.list[i] }
