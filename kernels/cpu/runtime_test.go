package cpu

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
)

func TestOpenOneDNNSaysWhyNot(t *testing.T) {
	if os.Getenv(EnvOneDNN) != "" {
		t.Skip("oneDNN is given by the environment")
	}
	err := openOneDNN("/no/such/libdnnl.so.3")
	if !errors.Is(err, ErrOneDNN) || !strings.Contains(err.Error(), "/no/such/libdnnl.so.3") {
		t.Fatalf("got %v, want ErrOneDNN naming the path", err)
	}
}

// Where oneDNN is given, products of many rows still have the bits of the contract, at shapes where
// its kernels differ.
func TestOneDNNKeepsTheOrder(t *testing.T) {
	if os.Getenv(EnvOneDNN) == "" || os.Getenv(EnvOneDNN) == "none" {
		t.Skip(EnvOneDNN + " names no library")
	}
	for _, s := range [][3]int{{64, 32, 64}, {65, 130, 801}, {130, 199, 1000}, {257, 96, 768}, {70, 100, 1152}} {
		p := newProduct(int64(s[0]), s[0], s[1], s[2])
		for _, threads := range []int{1, 2, 3} {
			withThreads(threads, func() {
				for range 2 { // checked, then remembered
					sameBits(t, fmt.Sprint(s, threads), p.run(t, 0, s[0], 0, s[1], false, true), p.full)
				}
			})
		}
	}
	if b := GemmBackend(); b == "own" || strings.Contains(b, "unchecked") {
		t.Fatalf("the backend is %q after products of many rows", b)
	}
}

// Products of every size from several goroutines at once give their usual bits, whoever gets the pool.
func TestConcurrentProducts(t *testing.T) {
	p := newProduct(90, 130, 200, 400)
	withThreads(3, func() {
		var wg sync.WaitGroup
		for worker := range 4 {
			wg.Go(func() {
				for i := range 20 {
					m := 1 + (i*37+worker*11)%130
					sameBits(t, "product", p.run(t, 0, m, 0, 200, i%2 == 0, true), p.full[:m*200])
				}
			})
		}
		wg.Wait()
	})
}

func TestThreads(t *testing.T) {
	was := Threads()
	defer SetThreads(was)
	if was < 1 {
		t.Fatalf("%d threads at start", was)
	}
	SetThreads(0)
	if Threads() != 1 {
		t.Errorf("SetThreads(0) gives %d threads, want 1", Threads())
	}
	SetThreads(3)
	if Threads() != 3 {
		t.Errorf("SetThreads(3) gives %d threads", Threads())
	}
}
