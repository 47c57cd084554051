// Errors: which Python exception an error of the engine becomes.
package pybind

import (
	"errors"
	"io/fs"

	"github.com/transformer-lens-go/transformer-lens-go/golens/arch"
	"github.com/transformer-lens-go/transformer-lens-go/golens/checkpoint"
	"github.com/transformer-lens-go/transformer-lens-go/golens/config"
	"github.com/transformer-lens-go/transformer-lens-go/golens/hook"
	"github.com/transformer-lens-go/transformer-lens-go/golens/model"
	"github.com/transformer-lens-go/transformer-lens-go/golens/modelfile"
	"github.com/transformer-lens-go/transformer-lens-go/golens/op"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tokenizer"
)

// errValue is wrapped by this package's own complaints about arguments.
var errValue = errors.New("bad argument")

// errBackward is returned where a hook on gradients is asked for.
var errBackward = errors.New("backward hooks on a model of the engine are not built yet; gradients come in a later version " +
	"(backward hooks on your own torch modules work)")

var kinds = []struct {
	target error
	kind   string
}{
	{fs.ErrNotExist, "FileNotFoundError"},
	{fs.ErrPermission, "OSError"},
	{tensor.ErrOutOfMemory, "MemoryError"},
	{op.ErrIndex, "IndexError"},
	{hook.ErrNoPoint, "KeyError"},
	{errBackward, "NotImplementedError"},
	{arch.ErrUnknownArchitecture, "ValueError"},
	{arch.ErrUnknownKey, "ValueError"},
	{arch.ErrUnsupported, "NotImplementedError"},
	{arch.ErrValue, "ValueError"},
	{arch.ErrMissingTensor, "ValueError"},
	{arch.ErrUnusedTensor, "ValueError"},
	{arch.ErrShape, "ValueError"},
	{checkpoint.ErrNoWeights, "OSError"},
	{checkpoint.ErrUnsupported, "NotImplementedError"},
	{tokenizer.ErrUnsupported, "NotImplementedError"},
	{tokenizer.ErrNegativeID, "OverflowError"},
	{model.ErrInput, "ValueError"},
	{errValue, "ValueError"},
}

// kindOf names the exception. What is not listed, shapes that do not fit among it, is a RuntimeError, as in torch.
func kindOf(err error) string {
	var bad *config.Error
	if errors.As(err, &bad) {
		return string(bad.Kind)
	}
	var format *checkpoint.FormatError
	var file *modelfile.Error
	if errors.As(err, &format) || errors.As(err, &file) {
		return "ValueError"
	}
	for _, k := range kinds {
		if errors.Is(err, k.target) {
			return k.kind
		}
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		return "OSError"
	}
	return "RuntimeError"
}

// valueError makes an error whose kind is not known a ValueError, as it reads.
type valueError struct{ error }

func (valueError) Is(target error) bool { return target == errValue }

func (e valueError) Unwrap() error { return e.error }

// asValueError is for errors about what users pass in, a file or an argument, that have no kind of their own.
func asValueError(err error) error {
	if kindOf(err) == "RuntimeError" {
		return valueError{err}
	}
	return err
}
