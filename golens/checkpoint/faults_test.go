package checkpoint

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// threeTensors are F16, F32 and Q8_0, each on a multiple of 32 with what is left filled up.
func threeTensors(kinds [3]uint32, offsets [3]uint64, behind int) []byte {
	b := ggufHead(3, 3, 0)
	for i, dims := range [][]uint64{{32}, {16}, {32}} {
		b = b.tensorInfo(string(rune('a'+i)), kinds[i], offsets[i], dims...)
	}
	return append(b.pad(32), make([]byte, 64+64+64+behind)...)
}

func TestFaultF4TensorsLieOneBehindTheOther(t *testing.T) {
	right, kinds := [3]uint64{0, 64, 128}, [3]uint32{1, 0, 8}
	for _, behind := range []int{0, -30} { // the last one's filling may be missing
		if _, err := parseGGUF("m", threeTensors(kinds, right, behind)); err != nil {
			t.Errorf("%d bytes behind: %v", behind, err)
		}
	}
	for name, c := range map[string]struct {
		kinds   [3]uint32
		offsets [3]uint64
		behind  int
	}{
		"offsets exchanged":         {kinds, [3]uint64{64, 0, 128}, 0},
		"a smaller type":            {[3]uint32{1, 1, 8}, right, 0},
		"a smaller type at the end": {[3]uint32{1, 0, 24}, right, 32},
		"a gap":                     {kinds, [3]uint64{0, 64, 160}, 32},
		"a gap in front":            {kinds, [3]uint64{32, 96, 160}, 32},
		"bytes behind the end":      {kinds, right, 32},
		"two in one place":          {kinds, [3]uint64{0, 64, 64}, 0},
	} {
		if _, err := parseGGUF("m", threeTensors(c.kinds, c.offsets, c.behind)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestFaultF5AnEmptyTensorBehindTheEnd(t *testing.T) {
	b := ggufHead(3, 2, 0).tensorInfo("w", 0, 0, 1).tensorInfo("none", 0, 32, 0)
	for _, data := range [][]byte{
		append(b.pad(32), floatBytes(7)...), append(b.pad(32), append(floatBytes(7), make([]byte, 28)...)...),
		ggufHead(3, 1, 0).tensorInfo("none", 0, 0, 0), ggufHead(3, 1, 0).tensorInfo("none", 0, 0, 0).pad(32),
	} {
		h, err := parseGGUF("m", data)
		if err != nil {
			t.Error(err)
			continue
		}
		exercise(t, data, h.entries)
	}
	if _, err := parseGGUF("m", append(ggufHead(3, 1, 0).tensorInfo("none", 0, 64, 0).pad(32), make([]byte, 32)...)); err == nil {
		t.Error("an empty tensor may stand anywhere")
	}
}

func TestFaultF6NeutralMetadataLoads(t *testing.T) {
	uniform := func(n uint32) ggufBytes {
		return ggufBytes{}.u32(ggufArray).u32(ggufUint32).u64(2).u32(n).u32(n)
	}
	type pair struct {
		key   string
		value ggufBytes
	}
	number := func(v uint32) ggufBytes { return ggufBytes{}.u32(ggufUint32).u32(v) }
	real := func(v float32) ggufBytes { return append(ggufBytes{}.u32(ggufFloat32), floatBytes(v)...) }
	flag := func(v byte) ggufBytes { return append(ggufBytes{}.u32(ggufBool), v) }
	sizes := []pair{{"block_count", number(2)}, {"context_length", number(64)}, {"embedding_length", number(32)},
		{"feed_forward_length", uniform(64)}, {"attention.head_count", uniform(4)}, {"attention.head_count_kv", uniform(2)},
		{"attention.layer_norm_rms_epsilon", real(1e-5)}}
	build := func(extra ...pair) *GGUF {
		all := append(slices.Clone(sizes), extra...)
		b := ggufHead(3, 1, uint64(len(all)+1)).str("general.architecture").u32(ggufString).str("llama")
		for _, p := range all {
			b = append(b.str("llama."+p.key), p.value...)
		}
		b = append(b.tensorInfo("token_embd.weight", 0, 0, 32, 5).pad(32), make([]byte, 640)...)
		return openGGUFBytes(t, b)
	}
	for name, p := range map[string]pair{
		"causal": {"attention.causal", flag(1)}, "logits as they are": {"logit_scale", real(1)}, "factor of attention": {"rope.scaling.attn_factor", real(1)},
		"a whole base": {"rope.freq_base", number(10000)}, "no experts": {"expert_count", number(0)}, "no soft cap": {"attn_logit_softcapping", real(0)},
		"a value length that is the share": {"attention.value_length", number(8)}, "a scale not given": {"rope.scaling.factor", real(0)},
		"finetuned": {"rope.scaling.finetuned", flag(1)},
	} {
		hf, err := build(p).HFConfig()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if hf["num_attention_heads"] != 4 || hf["num_key_value_heads"] != 2 || hf["rope_theta"] != 10000.0 || hf["rope_scaling"] != nil {
			t.Errorf("%s: %v", name, hf)
		}
	}
	for name, p := range map[string]pair{
		"not causal": {"attention.causal", flag(0)}, "scaled logits": {"logit_scale", real(2)}, "scaled attention": {"rope.scaling.attn_factor", real(1.2)},
		"unlike layers":  {"attention.sliding_window", ggufBytes{}.u32(ggufArray).u32(ggufUint32).u64(2).u32(1).u32(2)},
		"never heard of": {"attention.mystery", number(0)}, "experts": {"expert_count", number(4)},
	} {
		if hf, err := build(p).HFConfig(); err == nil {
			t.Errorf("%s is accepted: %v", name, hf)
		} else if strings.Contains(err.Error(), "interface") || strings.Contains(err.Error(), "[]") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFaultF11TensorsThatAnIndexNamesInVain(t *testing.T) {
	dir := folder(t, map[string]string{
		"model.safetensors.index.json": `{"weight_map":{"x":"one.safetensors","gone":"one.safetensors","y":"one.safetensors","z":"two.safetensors"}}`,
		"one.safetensors":              oneTensor("x", 1), "two.safetensors": oneTensor("y", 2),
	})
	s, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if !slices.Equal(s.Names(), []string{"x", "y"}) { // y by where it is, not by the index
		t.Errorf("names are %q", s.Names())
	}
	if lacking := s.(*File).Lacking(); !slices.Equal(lacking, []string{"one.safetensors", "two.safetensors"}) {
		t.Errorf("lacking are %q", lacking)
	}
}

func TestFaultF11WhatToDoAboutAFolderWithoutWeights(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		says  []string
	}{
		"shards":       {map[string]string{"model-00001-of-00002.safetensors": ""}, []string{"without model.safetensors.index.json", "fetch that file"}},
		"another name": {map[string]string{"weights.safetensors": ""}, []string{"rename it to model.safetensors"}},
		"an adapter":   {map[string]string{"adapter_model.safetensors": ""}, []string{"adapter", "merge"}},
		"unfinished":   {map[string]string{"model.safetensors.incomplete": ""}, []string{"download that was not finished"}},
		"unfinished, by huggingface_hub": {map[string]string{".cache/huggingface/download/model.safetensors.abc.incomplete": ""},
			[]string{"download that was not finished", ".cache/huggingface"}},
	} {
		dir := t.TempDir()
		for file, text := range c.files {
			path := filepath.Join(dir, file)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := OpenFolder(dir)
		for _, words := range c.says {
			if err == nil || !strings.Contains(err.Error(), words) {
				t.Errorf("%s: %v does not say %q", name, err, words)
			}
		}
	}
}

func TestFaultF14NothingIsWaitedFor(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	done := make(chan string, 6)
	say := func(_ any, err error) {
		if err == nil {
			done <- "no error"
			return
		}
		done <- err.Error()
	}
	go func() {
		for _, path := range []string{pipe, "/dev/zero"} {
			say(OpenSafetensors(path))
			say(OpenGGUF(path))
			say(OpenShards(path))
		}
	}()
	for range 6 {
		select {
		case text := <-done:
			if !strings.Contains(text, "a named pipe") && !strings.Contains(text, "a device") {
				t.Error(text)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("waits for a pipe or device")
		}
	}
}

func TestFaultF16WhatIsThereInsteadOfWeights(t *testing.T) {
	for text, says := range map[string]string{
		"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n": "Git LFS pointer",
		"<!DOCTYPE html>\n<html class=\"\">":                                        "a web page",
		"\n <html>":                                                                 "a web page",
		"Entry not found":                                                           "Entry not found",
		`{"error": "Repository not found"}`:                                         "server's error message",
		"PK\x03\x04":                                                                "a zip archive",
		"\x80\x02ccollections":                                                      "a pickle",
		strings.Repeat("\x00", 4096):                                                "zeros",
	} {
		for name, open := range map[string]func(string) error{
			"safetensors": func(path string) error { _, err := OpenSafetensors(path); return err },
			"gguf":        func(path string) error { _, err := OpenGGUF(path); return err },
		} {
			if err := open(writeFile(t, "model."+name, []byte(text))); err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%q as %s: %v", text[:min(len(text), 20)], name, err)
			}
		}
	}
	if err := func() error { _, err := OpenSafetensors("testdata/llama.gguf"); return err }(); err == nil || !strings.Contains(err.Error(), "a GGUF file") {
		t.Errorf("a GGUF file as safetensors: %v", err)
	}
}

func TestFaultF3MoreKeysThanFilesHave(t *testing.T) {
	pairs := ggufHead(3, 0, maxPairs+1)
	for i := range maxPairs + 1 {
		pairs = append(pairs.str(string(binary.LittleEndian.AppendUint32(nil, uint32(i)&0x7f7f7f7f))).u32(ggufUint8), 0)
	}
	start := time.Now()
	if _, err := parseGGUF("m", pairs); err == nil || !strings.Contains(err.Error(), "metadata count") {
		t.Errorf("pairs: %v", err)
	}
	strs := `{` + strings.Repeat(`"a":"b",`, maxStrings) + `"c":"d"}`
	if _, err := parseSafetensors("m", safetensorsBytes(strs, nil)); err == nil || !strings.Contains(err.Error(), "strings") {
		t.Errorf("strings: %v", err)
	}
	if _, err := parseIndex("m", []byte(strs)); err == nil || !strings.Contains(err.Error(), "strings") {
		t.Errorf("index: %v", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}
