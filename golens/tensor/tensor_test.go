package tensor

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestStorageIsRecycledAndCounted(t *testing.T) {
	before := Count()
	a, err := New(Float32, 300, 300)
	if err != nil {
		t.Fatal(err)
	}
	p := a.Pointer()
	if got := Count().Storages - before.Storages; got != 1 {
		t.Fatalf("live storages grew by %d, want 1", got)
	}
	a.Release()
	b, err := New(Float32, 300, 300)
	if err != nil {
		t.Fatal(err)
	}
	if b.Pointer() != p {
		t.Error("a freed block of the same size was not reused")
	}
	b.Release()
	if got := Count(); got.Storages != before.Storages || got.Bytes != before.Bytes {
		t.Errorf("leak: %+v, before %+v", got, before)
	}
}

func TestViewsKeepStorage(t *testing.T) {
	a, _ := FromFloat32s([]float32{0, 1, 2, 3, 4, 5}, 2, 3)
	v, err := a.View([]int{3, 2}, []int{1, 3}, 0)
	if err != nil {
		t.Fatal(err)
	}
	a.Release()
	if v.Contiguous() || v.Storage().Refs() != 1 {
		t.Errorf("contiguous %v refs %d", v.Contiguous(), v.Storage().Refs())
	}
	v.Release()
}

func TestBounds(t *testing.T) {
	s, _ := NewStorage(24)
	defer s.Release()
	for _, c := range []struct {
		offset         int
		shape, strides []int
	}{{0, []int{7}, nil}, {4, []int{6}, nil}, {-4, []int{1}, nil}, {0, []int{2, 2}, []int{5, 1, 1}}, {0, []int{2}, []int{-1}}, {0, []int{-1}, nil}, {0, []int{2, 2}, []int{6, 1}}} {
		if _, err := FromStorage(s, c.offset, Float32, c.shape, c.strides); !errors.Is(err, ErrShape) {
			t.Errorf("%+v: error %v, want ErrShape", c, err)
		}
	}
	if v, err := FromStorage(s, 0, Float32, []int{6}, nil); err != nil {
		t.Error(err)
	} else {
		v.Release()
	}
}

func TestHandles(t *testing.T) {
	before := Count()
	a, _ := FromFloat32s([]float32{1, 2, 3, 4}, 2, 2)
	h, err := a.Export()
	if err != nil {
		t.Fatal(err)
	}
	a.Release()
	b, err := Import(h)
	if err != nil {
		t.Fatal(err)
	}
	if b.Float32s()[3] != 4 || b.Dim(-1) != 2 {
		t.Errorf("imported %v %v", b.Shape(), b.Float32s())
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []Handle{0, -1, h, h + 1, 1 << 62, -(1 << 62)} {
		if _, err := Import(bad); !errors.Is(err, ErrStaleHandle) {
			t.Errorf("Import(%d): %v", bad, err)
		}
		if err := bad.Close(); !errors.Is(err, ErrStaleHandle) {
			t.Errorf("Close(%d): %v", bad, err)
		}
	}
	b.Release()
	if got := Count(); got.Storages != before.Storages || got.Handles != before.Handles || got.Exported != before.Exported {
		t.Errorf("leak: %+v, before %+v", got, before)
	}
}

func TestMapFileNeverWritesBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w")
	if err := os.WriteFile(path, []byte("abcdefgh"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := MapFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s.Bytes()[0] = 'X'
	s.Release()
	if got, _ := os.ReadFile(path); string(got) != "abcdefgh" {
		t.Errorf("the file became %q", got)
	}
	if _, err := MapFile(t.TempDir()); err == nil {
		t.Error("mapping a directory gave no error")
	}
}

func TestForgetKeepsTheFilesBytes(t *testing.T) {
	page := os.Getpagesize()
	content := make([]byte, 3*page)
	for i := range content {
		content[i] = byte(i / page)
	}
	path := filepath.Join(t.TempDir(), "w")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := MapFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	s.Bytes()[0] = 9 // on a page that the range only touches
	s.Forget(1, 2*page)
	if b := s.Bytes(); b[0] != 9 || b[page] != 1 || b[3*page-1] != 2 {
		t.Errorf("bytes are %d %d %d, want 9 1 2", b[0], b[page], b[3*page-1])
	}
}
