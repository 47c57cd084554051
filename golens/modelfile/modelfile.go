// Package modelfile opens the files that a model consists of: regular ones only, for a pipe would be waited for and a
// device has no end. It says what a file is that is not what its name claims. It imports nothing of the engine.
package modelfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Error says that a file is not what it should be.
type Error struct {
	Path, Found, Want string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s: found %s, expected %s", e.Path, e.Found, e.Want)
}

// Open opens a regular file for reading; what says what it should be, for errors: "config.json". It never waits: not for
// a pipe either.
func Open(path, what string) (*os.File, int64, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, 0, fmt.Errorf("there is no file %s%s: %w", path, danglingLink(path), fs.ErrNotExist)
	case err != nil:
		return nil, 0, fmt.Errorf("open %s: %w", what, err)
	}
	info, err := file.Stat()
	switch {
	case err != nil:
	case info.IsDir():
		err = &Error{path, "a folder", "a " + what + "; open a model folder as a folder"}
	case !info.Mode().IsRegular():
		err = &Error{path, special(info.Mode()), "a regular file"}
	case unfinished(path):
		err = &Error{path, "a download that was not finished", "a " + what + "; fetch it again"}
	default:
		return file, info.Size(), nil
	}
	file.Close()
	return nil, 0, err
}

// unfinished says whether a file, or what it is a link to, has the name of a download in progress.
func unfinished(path string) bool {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		target = path
	}
	for _, name := range []string{path, target} {
		if slices.Contains([]string{".incomplete", ".part", ".crdownload", ".aria2"}, filepath.Ext(name)) {
			return true
		}
	}
	return false
}

func special(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "a special file"
}

// danglingLink says where a link leads whose target is gone, as the hub's cache has them after a part was deleted.
func danglingLink(path string) string {
	target, err := os.Readlink(path)
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (it is a link to %s, which is gone)", target)
}

// Read reads a text file of at most limit bytes.
func Read(path, what string, limit int64) ([]byte, error) {
	file, size, err := Open(path, what)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if size > limit {
		return nil, &Error{path, fmt.Sprintf("%d bytes", size), fmt.Sprintf("a %s, of at most %d bytes", what, limit)}
	}
	data, err := io.ReadAll(io.LimitReader(file, limit))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	if cause := Mistaken(data); cause != "" && data[0] != '{' {
		return nil, &Error{path, cause, "a " + what}
	}
	return data, nil
}

// IsGGUF looks whether a file begins as GGUF files do, whatever its name.
func IsGGUF(path string) (bool, error) {
	head, err := head(path)
	return bytes.HasPrefix(head, []byte("GGUF")), err
}

// What says in a few words what a file is that cannot be opened as a model.
func What(path string) (string, error) {
	head, err := head(path)
	if err != nil {
		return "", err
	}
	if cause := Mistaken(head); cause != "" {
		return cause, nil
	}
	if len(head) > 8 && head[8] == '{' {
		return "a safetensors file", nil
	}
	return fmt.Sprintf("a file that begins with %q", head[:min(len(head), 16)]), nil
}

func head(path string) ([]byte, error) {
	file, _, err := Open(path, "model file")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	head := make([]byte, 512)
	n, err := io.ReadFull(file, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return head[:n], nil
}

// mistaken are the beginnings of what is found where weights should be.
var mistaken = []struct{ begin, what string }{
	{"version https://git-lfs.github.com/spec/", "a Git LFS pointer, not the file itself (git lfs pull fetches it)"},
	{"# xet version", "a Xet pointer, not the file itself (git xet checkout, or git lfs pull with git-xet installed, fetches it)"},
	{"<!doctype html", "a web page (HTML), not the file itself: download it from its own address"},
	{"<html", "a web page (HTML), not the file itself: download it from its own address"},
	{"<?xml", "an XML page, most likely a server's error message: download the file again"},
	{"{\"error\"", "a server's error message: download the file again"},
	{"entry not found", "a server's error message (Entry not found): download the file again"},
	{"invalid username or password", "a server's error message (Invalid username or password): download the file again, logged in"},
	{"access to model", "a server's error message (no access to the model): download the file again, logged in"},
	{"repository not found", "a server's error message (Repository not found): download the file again"},
	{"gguf", "a GGUF file"},
	{"ggml", "a GGML file, an older form than GGUF: convert the model anew"},
	{"lmgg", "a GGML file, an older form than GGUF: convert the model anew"},
	{"tjgg", "a GGML file, an older form than GGUF: convert the model anew"},
	{"pk\x03\x04", "a zip archive, as torch's .bin and .pt files are: convert the model to safetensors"},
	{"\x80\x02", "a pickle, as old torch files are: convert the model to safetensors"},
	{"\x89hdf", "an HDF5 file, as Keras writes: convert the model to safetensors"},
	{"\x1f\x8b", "a gzip archive: unpack it first"},
	{"\x28\xb5\x2f\xfd", "a zstd archive: unpack it first"},
	{"bzh", "a bzip2 archive: unpack it first"},
	{"\xfd7zxz", "an xz archive: unpack it first"},
}

// Mistaken says what data is where its first bytes show that it is nothing to read here, "" where they do not.
func Mistaken(data []byte) string {
	begin := string(lower(bytes.TrimLeft(data[:min(len(data), 512)], " \t\r\n\ufeff")))
	for _, one := range mistaken {
		if strings.HasPrefix(begin, one.begin) {
			return one.what
		}
	}
	if annexed(begin) {
		return "a git-annex pointer, not the file itself (git annex get fetches it)"
	}
	if len(data) >= 16 && len(bytes.TrimLeft(data[:min(len(data), 4096)], "\x00")) == 0 {
		return "zeros: the download reserved its space and was not finished"
	}
	return ""
}

// annexed says whether a text begins with a path into git-annex's store: its pointers do, and links into it that were
// checked out as text.
func annexed(begin string) bool {
	path, _, ok := strings.Cut(begin, "annex/objects/")
	return ok && !strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' })
}

// lower changes letters of ASCII only: the rest need not be text.
func lower(data []byte) []byte {
	out := bytes.Clone(data)
	for i, c := range out {
		if 'A' <= c && c <= 'Z' {
			out[i] = c + 'a' - 'A'
		}
	}
	return out
}
