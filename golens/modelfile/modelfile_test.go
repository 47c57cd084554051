package modelfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFaultF8GGUFByItsFirstBytes(t *testing.T) {
	for text, want := range map[string]bool{"GGUF": true, "GGU": false, "": false, "GGUF and more": true} {
		if yes, err := IsGGUF(write(t, text)); yes != want || err != nil {
			t.Errorf("%q: %v %v", text, yes, err)
		}
	}
}

func TestFaultF14OnlyRegularFilesAreRead(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	for path, says := range map[string]string{pipe: "a named pipe", "/dev/zero": "a device", t.TempDir(): "a folder"} {
		var wrong *Error
		if _, err := Read(path, "config.json", 1<<20); !errors.As(err, &wrong) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", path, err)
		}
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink("/no/such/blob", link); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(link, "config.json", 1); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "/no/such/blob") {
		t.Errorf("a link to nothing: %v", err)
	}
	if _, err := Read(write(t, "12345"), "config.json", 4); err == nil || !strings.Contains(err.Error(), "5 bytes") {
		t.Errorf("too long: %v", err)
	}
}

func TestFaultF16ADownloadThatWasNotFinished(t *testing.T) {
	blob := filepath.Join(t.TempDir(), "0123.incomplete")
	if err := os.WriteFile(blob, []byte("GGUF"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "model.gguf")
	if err := os.Symlink(blob, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{blob, link} {
		if _, err := IsGGUF(path); err == nil || !strings.Contains(err.Error(), "not finished") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestFaultF16WhatATextFileIs(t *testing.T) {
	for text, says := range map[string]string{
		"version https://git-lfs.github.com/spec/v1\n": "Git LFS pointer", "<!DOCTYPE html>": "a web page", "\x80\x02c": "a pickle",
		"/annex/objects/SHA256E-s99--0a.safetensors\n":             "git-annex pointer",
		"../../.git/annex/objects/Zz/1f/SHA256E-s9--0a/SHA256E-s9": "git-annex pointer",
		"# xet version 0\nfilesize = 10\nhash = 'a0'\n":            "Xet pointer",
	} {
		if _, err := Read(write(t, text), "config.json", 1<<20); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"", "{}", `{"error": 1}`, `{"a": "/annex/objects/"}`, "see annex/objects/", "#version: 0.2\nĠ t"} {
		if got, err := Read(write(t, text), "config.json", 1<<20); err != nil || string(got) != text {
			t.Errorf("%q: %v", text, err)
		}
	}
}
