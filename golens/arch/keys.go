// This file knows what transformers reads of a config.json, family by family, and which classes of models it has:
// config_keys.json, which tests/py/parity/make_config_keys.py finds in its source.

package arch

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
)

//go:embed config_keys.json
var configKeys []byte

// keyTable is config_keys.json. Its lists are sorted.
type keyTable struct {
	Transformers  string              `json:"transformers"` // the version
	Reads         map[string][]string `json:"reads"`        // by family
	Rope          map[string][]string `json:"rope"`         // settings by kind of rotary positions
	Architectures []string            `json:"architectures"`
}

var keys = sync.OnceValue(func() keyTable {
	var t keyTable
	if err := json.Unmarshal(configKeys, &t); err != nil {
		panic(fmt.Sprintf("arch: config_keys.json, which is part of the program: %v", err))
	}
	return t
})

// reads says whether the family's model or configuration class looks at a key. What is not in the table might.
func (t keyTable) reads(family, key string) bool {
	list, ok := t.Reads[family]
	return !ok || has(list, key)
}

// ropeReads says whether rotary positions of a kind look at a setting.
func (t keyTable) ropeReads(kind, key string) bool {
	list, ok := t.Rope[kind]
	return !ok || has(list, key)
}

func has(sorted []string, word string) bool {
	_, found := slices.BinarySearch(sorted, word)
	return found
}
