// Sharded safetensors: model.safetensors.index.json names the file in which each tensor lies.
package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// shardIndex is a checked weight_map, in the file's order.
type shardIndex struct {
	tensors []string
	files   []string
	file    map[string]string // by tensor
}

// OpenShards maps the shards that an index file names and checks them against it. Tensors that lie in a shard but
// not in the index are not part of the checkpoint.
func OpenShards(indexPath string) (*File, error) {
	index, err := readIndex(indexPath)
	if err != nil {
		return nil, err
	}
	if err := index.missing(indexPath); err != nil {
		return nil, err
	}
	f := &File{catalog{path: indexPath}}
	shards := make(map[string]map[string]Entry, len(index.files))
	for _, file := range index.files {
		storage, entries, err := mapSafetensors(filepath.Join(filepath.Dir(indexPath), file))
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("checkpoint: shard of %s: %w", indexPath, err)
		}
		f.storages = append(f.storages, storage)
		shards[file] = byName(storage, entries)
	}
	f.entries = make(map[string]Entry, len(index.tensors))
	for _, name := range index.tensors {
		entry, ok := shards[index.file[name]][name]
		if !ok {
			f.Close()
			return nil, &FormatError{indexPath, fmt.Sprintf("weight_map %q", clip(name)), index.file[name], "a shard that holds this tensor; it does not"}
		}
		f.entries[name] = entry
	}
	f.names = index.tensors
	return f, nil
}

func byName(storage *tensor.Storage, entries []Entry) map[string]Entry {
	m := make(map[string]Entry, len(entries))
	for _, e := range entries {
		e.storage = storage
		m[e.Name] = e
	}
	return m
}

func readIndex(path string) (*shardIndex, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: open index: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxHeader {
		return nil, &FormatError{path, "file", fmt.Sprintf("mode %v, %d bytes", info.Mode(), info.Size()),
			fmt.Sprintf("a regular file of at most %d bytes", maxHeader)}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: read index: %w", err)
	}
	return parseIndex(path, data)
}

func parseIndex(path string, data []byte) (*shardIndex, error) {
	scanner, err := newJSONScanner(path, "index", data)
	if err != nil {
		return nil, err
	}
	index := &shardIndex{file: map[string]string{}}
	known := map[string]bool{}
	err = scanner.object("index", func(key string) error {
		if key != "weight_map" {
			return scanner.skip(strconv.Quote(clip(key)))
		}
		return scanner.object(key, func(name string) error {
			field := fmt.Sprintf("weight_map %q", clip(name))
			file, err := scanner.text(field)
			if err != nil {
				return err
			}
			if file != filepath.Base(file) || !filepath.IsLocal(file) {
				return &FormatError{path, field, strconv.Quote(clip(file)), "the name of a file in the same folder"}
			}
			if !known[file] {
				known[file] = true
				index.files = append(index.files, file)
			}
			index.file[name] = file
			index.tensors = append(index.tensors, name)
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	if err := scanner.end("index"); err != nil {
		return nil, err
	}
	if len(index.tensors) == 0 {
		return nil, &FormatError{path, "weight_map", "no tensors", "the file of each tensor"}
	}
	return index, nil
}

// missing names every shard that is not there, for a download that was cut short lacks more than one.
func (x *shardIndex) missing(indexPath string) error {
	var lost []string
	for _, file := range x.files {
		if _, err := os.Stat(filepath.Join(filepath.Dir(indexPath), file)); errors.Is(err, fs.ErrNotExist) {
			lost = append(lost, file)
		}
	}
	if lost == nil {
		return nil
	}
	return fmt.Errorf("checkpoint: %s: %d of its %d shards are missing from the folder: %q: %w",
		indexPath, len(lost), len(x.files), lost, fs.ErrNotExist)
}
