package cpu

import (
	"fmt"
	"math/rand"
	"testing"
)

func TestElementwise(t *testing.T) {
	r := rand.New(rand.NewSource(50))
	for _, n := range []int{0, 1, 15, 16, 17, 1000, 50000} {
		a, b := uniform(r, n), uniform(r, n)
		sum, prod, scaled := make([]float32, n), make([]float32, n), make([]float32, n)
		for i := range n {
			sum[i], prod[i], scaled[i] = a[i]+b[i], a[i]*b[i], a[i]*.3
		}
		eachISA(t, func(t *testing.T) {
			c := make([]float32, n)
			Add(ptr(c), ptr(a), ptr(b), n)
			sameBits(t, fmt.Sprint("add ", n), c, sum)
			Mul(ptr(c), ptr(a), ptr(b), n)
			sameBits(t, fmt.Sprint("mul ", n), c, prod)
			Scale(ptr(c), ptr(a), .3, n)
			sameBits(t, fmt.Sprint("scale ", n), c, scaled)
			copy(c, a)
			Add(ptr(c), ptr(c), ptr(b), n)
			sameBits(t, fmt.Sprint("add in place ", n), c, sum)
		})
	}
}

func TestAddRows(t *testing.T) {
	r := rand.New(rand.NewSource(51))
	const rows, n, lda, ldc = 70, 37, 40, 39
	a, row := uniform(r, rows*lda), uniform(r, n)
	c := make([]float32, rows*ldc)
	AddRows(ptr(c), ldc, ptr(a), lda, ptr(row), rows, n)
	for i := range rows {
		for j := range ldc {
			want := float32(0)
			if j < n {
				want = a[i*lda+j] + row[j]
			}
			if c[i*ldc+j] != want {
				t.Fatalf("row %d column %d is %g, want %g", i, j, c[i*ldc+j], want)
			}
		}
	}
}

func TestGather(t *testing.T) {
	r := rand.New(rand.NewSource(52))
	const vocab, ld, n, rows = 11, 50, 45, 6
	table, add := uniform(r, vocab*ld), uniform(r, rows*n)
	ids := []int64{10, 0, 3, 3, 7, 1}
	for _, with := range []bool{false, true} {
		out := make([]float32, rows*n)
		g := Gather{Rows: rows, N: n, Table: ptr(table), LDTable: ld, IDs: ptr(ids), Out: ptr(out), LDOut: n}
		if with {
			g.Add, g.LDAdd = ptr(add), n
		}
		g.Run()
		for i := range out {
			want := table[int(ids[i/n])*ld+i%n]
			if with {
				want += add[i]
			}
			if out[i] != want {
				t.Fatalf("add %v: value %d is %g, want %g", with, i, out[i], want)
			}
		}
	}
}
