// Properties of characters by name, by the table in properties.txt.gz.

package oniguruma

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
)

//go:embed properties.txt.gz
var propertiesText []byte

// outsideWord is what \w is outside of brackets, and \b looks at: below 256 it differs from the \w
// within brackets, because Oniguruma reads another table there.
const outsideWord = "outsideword"

func unzip(data []byte) (string, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return "", fmt.Errorf("embedded table: %w", err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		return "", fmt.Errorf("embedded table: %w", err)
	}
	return string(text), nil
}

// propertyTable has the text of the ranges of every name; they are read when a pattern uses them.
var propertyTable = sync.OnceValues(func() (map[string]string, error) {
	text, err := unzip(propertiesText)
	if err != nil {
		return nil, err
	}
	table := map[string]string{}
	for line := range strings.SplitSeq(text, "\n") {
		names, ranges, _ := strings.Cut(line, ":")
		for _, name := range fields(names) {
			table[name] = ranges
		}
	}
	return table, nil
})

// fields are the words of an embedded table.
func fields(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r <= ' ' })
}

// plainName is a name of ASCII as the table has it: case, spaces, '-' and '_' do not count.
func plainName(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ' || r == '-' || r == '_':
			return -1
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return r
	}, name)
}

// readRanges reads gaps and lengths in hexadecimal.
func readRanges(text string) (set, error) {
	words := fields(text)
	out := make(set, 0, len(words)/2)
	at := int64(0)
	for i := 0; i+1 < len(words); i += 2 {
		gap, errGap := strconv.ParseInt(words[i], 16, 32)
		length, errLength := strconv.ParseInt(words[i+1], 16, 32)
		if errGap != nil || errLength != nil {
			return nil, fmt.Errorf("embedded table: %v is no range", words[i:i+2])
		}
		out = append(out, span{rune(at + gap), rune(at + gap + length)})
		at += gap + length + 1
	}
	return out, nil
}

// property is the set of a name.
func property(name string) (set, error) {
	table, err := propertyTable()
	if err != nil {
		return nil, err
	}
	plain := plainName(name)
	ranges, ok := table[plain]
	if !ok || plain == outsideWord {
		return nil, fmt.Errorf(`property \p{%s}: %w: no property of this name`, name, ErrSyntax)
	}
	return readRanges(ranges)
}

// wordOutside is the set that outsideWord says.
func wordOutside() (set, error) {
	table, err := propertyTable()
	if err != nil {
		return nil, err
	}
	return readRanges(table[outsideWord])
}
