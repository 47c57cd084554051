package cpu

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// buildPoolCheck compiles testdata/pool_check.c with the pool's own files; "" where the compiler lacks what flags ask for.
func buildPoolCheck(t *testing.T, flags ...string) string {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler named cc")
	}
	out := filepath.Join(t.TempDir(), "pool_check")
	args := append([]string{"-std=c11", "-D_GNU_SOURCE", "-O1", "-g", "-o", out}, flags...)
	args = append(args, "testdata/pool_check.c", "parallel.c", "pool.c", "wait.c", "-lpthread")
	if text, err := exec.Command(cc, args...).CombinedOutput(); err != nil {
		if len(flags) > 0 {
			return ""
		}
		t.Fatalf("%v: %s", err, text)
	}
	return out
}

func runPoolCheck(t *testing.T, program string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	text, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil && !bytes.Contains(text, []byte("unexpected memory mapping")) {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, text)
	}
	return string(text)
}

// The pool of threads as C programs see it: all units run once, whoever calls, and nothing hangs.
func TestPool(t *testing.T) {
	runPoolCheck(t, buildPoolCheck(t), "fork")
}

// The same under ThreadSanitizer, which does not allow threads in a forked child.
func TestPoolHasNoRaces(t *testing.T) {
	program := buildPoolCheck(t, "-fsanitize=thread")
	if program == "" {
		t.Skip("the compiler has no ThreadSanitizer")
	}
	if text := runPoolCheck(t, program); strings.Contains(text, "unexpected memory mapping") {
		t.Skip("ThreadSanitizer does not run on this kernel")
	}
}
