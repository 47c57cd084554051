// Texts: many of them cross as one string, "LENGTHS;NULS;TEXT". TEXT is all of them one after another; LENGTHS are
// their lengths in characters, and NULS the places, in characters of TEXT, where a space stands for a NUL, which a C
// string cannot carry. Both are lists of numbers with commas between them. JSON would take longer than tokenizing.
package pybind

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// unpackTexts reads what Python's _engine.texts.pack wrote.
func unpackTexts(packed string) ([]string, error) {
	lengths, rest, ok := strings.Cut(packed, ";")
	nuls, text, ok2 := strings.Cut(rest, ";")
	if !ok || !ok2 {
		return nil, fmt.Errorf("%w: packed texts without lengths", errValue)
	}
	sizes, err := scanNumbers(lengths)
	if err != nil {
		return nil, err
	}
	if nuls != "" {
		if text, err = putNuls(text, nuls); err != nil {
			return nil, err
		}
	}
	total := 0
	for _, n := range sizes {
		total += n
	}
	ascii := total == len(text)
	out := make([]string, len(sizes))
	for i, n := range sizes {
		end := n
		if !ascii {
			end = bytesOf(text, n)
		}
		if end < 0 || end > len(text) {
			return nil, fmt.Errorf("%w: packed texts are shorter than was said", errValue)
		}
		out[i], text = text[:end], text[end:]
	}
	if text != "" {
		return nil, fmt.Errorf("%w: packed texts are longer than was said", errValue)
	}
	return out, nil
}

// bytesOf is how many bytes the first n characters of text take, -1 when it has fewer.
func bytesOf(text string, n int) int {
	at := 0
	for ; n > 0; n-- {
		if at == len(text) {
			return -1
		}
		_, size := utf8.DecodeRuneInString(text[at:])
		at += size
	}
	return at
}

// putNuls puts NULs back at places, which ascend.
func putNuls(text, places string) (string, error) {
	at, err := scanNumbers(places)
	if err != nil {
		return "", err
	}
	out := []byte(text)
	byteAt, runeAt := 0, 0
	for _, place := range at {
		n := bytesOf(text[byteAt:], place-runeAt)
		if byteAt += n; n < 0 || byteAt == len(out) {
			return "", fmt.Errorf("%w: packed texts have no character %d", errValue, place)
		}
		out[byteAt] = 0
		runeAt = place
	}
	return string(out), nil
}

// packTexts writes what Python's _engine.texts.unpack reads.
func packTexts(texts []string) string {
	var head, nuls []byte
	size, before := 0, 0
	for i, text := range texts {
		if i > 0 {
			head = append(head, ',')
		}
		n := utf8.RuneCountInString(text)
		head = strconv.AppendInt(head, int64(n), 10)
		if strings.IndexByte(text, 0) >= 0 {
			at := before
			for _, r := range text {
				if r == 0 {
					nuls = append(strconv.AppendInt(nuls, int64(at), 10), ',')
				}
				at++
			}
		}
		before += n
		size += len(text)
	}
	var out strings.Builder
	out.Grow(len(head) + len(nuls) + size + 2)
	out.Write(head)
	out.WriteByte(';')
	out.WriteString(strings.TrimSuffix(string(nuls), ","))
	out.WriteByte(';')
	for _, text := range texts {
		if len(nuls) > 0 {
			text = strings.ReplaceAll(text, "\x00", " ")
		}
		out.WriteString(text)
	}
	return out.String()
}

// scanNumbers reads whole numbers with commas between them; none of an empty text.
func scanNumbers(list string) ([]int, error) {
	if list == "" {
		return nil, nil
	}
	out := make([]int, 0, strings.Count(list, ",")+1)
	for more := true; more; {
		var word string
		word, list, more = strings.Cut(list, ",")
		n, err := strconv.Atoi(word)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%w: %q is no whole number", errValue, word)
		}
		out = append(out, n)
	}
	return out, nil
}
