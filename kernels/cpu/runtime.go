package cpu

// The process-wide state of the kernels: instruction set, threads, oneDNN.

// #include "kernels.h"
// #include <stdlib.h>
import "C"

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"unsafe"
)

// EnvISA names the environment variable that holds the kernels back to an instruction set: plain,
// avx2 or avx512. One that the processor lacks is ignored.
const EnvISA = "TRANSFORMER_LENS_GO_ISA"

// EnvOneDNN names the environment variable with the path of the oneDNN library (libdnnl.so.3) to
// open when the first large product is computed; "none" opens none.
const EnvOneDNN = "TRANSFORMER_LENS_GO_ONEDNN"

// ErrOneDNN is wrapped by what OpenOneDNN returns when the library cannot be used.
var ErrOneDNN = errors.New("cpu: oneDNN cannot be opened")

var isaNames = []string{"plain", "avx2", "avx512"}

// ISA names the instruction set in use: plain, avx2 or avx512.
func ISA() string { return isaNames[C.tlg_isa()] }

// setISA switches the instruction set; false if the processor lacks it.
func setISA(isa int) bool { return C.tlg_isa_set(C.int(isa)) != 0 }

// SetThreads sets how many threads a kernel may use; less than 1 counts as 1.
func SetThreads(n int) { C.tlg_set_threads(C.int(n)) }

// Threads tells how many threads a kernel may use. At start these are the processors the process may
// run on, or OMP_NUM_THREADS if that is fewer.
func Threads() int { return int(C.tlg_threads()) }

var oneDNN struct {
	sync.Once
	opened bool
}

// OpenOneDNN opens the oneDNN library at path, or, if path is empty, the one that EnvOneDNN or the
// system's loader finds. See GemmBackend for when it is used. Call it at start, before any kernel runs;
// without it the first large product looks by itself.
func OpenOneDNN(path string) error {
	err := fmt.Errorf("%w: it was already looked for", ErrOneDNN)
	oneDNN.Do(func() { err = openOneDNN(path) })
	if oneDNN.opened {
		return nil
	}
	return err
}

func openOneDNN(path string) error {
	if path == "" {
		path = os.Getenv(EnvOneDNN)
	}
	if path == "none" {
		return fmt.Errorf("%w: %s=none forbids it", ErrOneDNN, EnvOneDNN)
	}
	if path == "" {
		path = "libdnnl.so.3"
	}
	c := C.CString(path)
	defer C.free(unsafe.Pointer(c))
	if why := C.tlg_onednn_open(c); why != nil {
		return fmt.Errorf("%w: %s", ErrOneDNN, C.GoString(why))
	}
	oneDNN.opened = true
	return nil
}

// GemmBackend tells what computes products of many rows with plain B: "onednn" (each shape only after
// a sample of its first result had our bits); "own" where there is no oneDNN; "own (onednn sums in
// another order)" where the check at its first use found other bits; or "onednn (unchecked)" before
// that. All other products are computed by own kernels.
func GemmBackend() string {
	switch C.tlg_onednn_state() {
	case C.TLG_ONEDNN_UNCHECKED:
		return "onednn (unchecked)"
	case C.TLG_ONEDNN_SAME:
		return "onednn"
	case C.TLG_ONEDNN_OTHER:
		return "own (onednn sums in another order)"
	}
	return "own"
}
