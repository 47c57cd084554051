// Package pybind is the surface that gopy exports to Python: flat functions over handles and JSON. It holds no
// logic: each function looks its handles up, calls the engine, and gives an error its Python name. Every function
// recovers, so that no mistake of the engine ends the process.
package pybind

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
	"github.com/transformer-lens-go/transformer-lens-go/golens/pyjson"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
	kernels "github.com/transformer-lens-go/transformer-lens-go/kernels/cpu"
)

var pid = os.Getpid()

// errForked is returned in a forked child, where the Go runtime has lost its threads.
var errForked = errors.New("the engine was used in a forked child process, which does not have its threads; " +
	"start processes with the 'spawn' or 'forkserver' method of multiprocessing")

// guard turns a panic into an error, and an error into one that begins with the name of a Python exception.
func guard(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("RuntimeError: internal error of the engine (please report it): %v\n%s", r, debug.Stack())
		return
	}
	if *err != nil {
		*err = fmt.Errorf("%s: %w", kindOf(*err), *err)
	}
}

// enter refuses to run in a forked child.
func enter() error {
	if os.Getpid() != pid {
		return errForked
	}
	return nil
}

// Version is the version of the Go toolchain that built the engine.
func Version() string { return runtime.Version() }

// GlueAPI is the address of the C functions by which the CPython glue reaches tensors.
func GlueAPI() int64 { return int64(tensor.GlueAPI()) }

// Counts says as JSON what is alive in the engine.
func Counts() (out string, err error) {
	defer guard(&err)
	c := tensor.Count()
	return encode(map[string]int64{
		"Storages": c.Storages, "Bytes": c.Bytes, "Handles": c.Handles, "Exported": c.Exported, "PoolBytes": c.PoolBytes,
		"Models": int64(models.len()), "Runs": int64(runs.len()), "Tokenizers": int64(tokenizers.len()),
		"CacheEntries": int64(entries.len()),
	})
}

// SetThreads sets how many threads kernels use.
func SetThreads(n int64) (out int64, err error) {
	defer guard(&err)
	if n < 1 {
		return 0, fmt.Errorf("%w: %d threads, expected at least 1", errValue, n)
	}
	kernels.SetThreads(int(n))
	return n, nil
}

// Threads is how many threads kernels use.
func Threads() int64 { return int64(kernels.Threads()) }

// EmptyPool gives the system the memory that released tensors left for what comes next; it returns the bytes that rest
// still.
func EmptyPool() (resting int64, err error) {
	defer guard(&err)
	if err := enter(); err != nil {
		return 0, err
	}
	tensor.EmptyPool()
	return tensor.Count().PoolBytes, nil
}

// OpenBackend tries to open oneDNN at a path, and says what products run on.
func OpenBackend(path string) (out string, err error) {
	defer guard(&err)
	if err := kernels.OpenOneDNN(path); err != nil {
		return fmt.Sprintf("own kernels: %v", err), nil
	}
	return kernels.GemmBackend(), nil
}

// SetEnv passes an environment variable on: the Go runtime has the environment with which the process began, not
// what Python set since.
func SetEnv(name, value string) (out int64, err error) {
	defer guard(&err)
	return 0, os.Setenv(name, value)
}

// TensorClose ends a tensor's handle; views made of it stay valid.
func TensorClose(h int64) (out int64, err error) {
	defer guard(&err)
	return 0, tensor.Handle(h).Close()
}

func encode(v any) (string, error) {
	raw, err := json.Marshal(v)
	return string(raw), err
}

func decode(text string, v any) error {
	// A whole number in a configuration stays one.
	if err := jsontext.UnmarshalNumbers(pyjson.Quote([]byte(text)), v); err != nil {
		return fmt.Errorf("%w: %w", errValue, err)
	}
	return nil
}
