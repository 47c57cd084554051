// Sharded safetensors: model.safetensors.index.json names the file in which each tensor lies.
package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/transformer-lens-go/transformer-lens-go/golens/modelfile"
	"github.com/transformer-lens-go/transformer-lens-go/golens/tensor"
)

// shardIndex is a checked weight_map, in the file's order.
type shardIndex struct {
	tensors []string
	files   []string
	file    map[string]string // by tensor
}

// OpenShards maps the shards that an index file names. A tensor that lies in another shard than the index says is
// taken from there; one that lies in none is not part of the checkpoint, and neither is one that the index does not name.
func OpenShards(indexPath string) (*File, error) {
	index, err := readIndex(indexPath)
	if err != nil {
		return nil, err
	}
	if err := index.missing(indexPath); err != nil {
		return nil, err
	}
	f := &File{catalog: catalog{path: indexPath}}
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
		for _, file := range index.files {
			if ok {
				break
			}
			entry, ok = shards[file][name]
		}
		if ok {
			f.entries[name] = entry
			f.names = append(f.names, name)
		} else if !slices.Contains(f.lacking, index.file[name]) {
			f.lacking = append(f.lacking, index.file[name])
		}
	}
	return f, nil
}

// Lacking names the shards that by the index hold tensors which they do not hold.
func (f *File) Lacking() []string { return slices.Clone(f.lacking) }

func byName(storage *tensor.Storage, entries []Entry) map[string]Entry {
	m := make(map[string]Entry, len(entries))
	for _, e := range entries {
		e.storage = storage
		m[e.Name] = e
	}
	return m
}

func readIndex(path string) (*shardIndex, error) {
	data, err := modelfile.Read(path, "shard index", maxHeader)
	if err != nil {
		return nil, asFormat(err)
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
