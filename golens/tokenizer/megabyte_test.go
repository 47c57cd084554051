package tokenizer

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// longTexts are texts of about size bytes on which slow paths would show.
func longTexts(size int) map[string]string {
	rng := rand.New(rand.NewPCG(1, 2))
	filled := func(one func() string) string {
		var out strings.Builder
		for out.Len() < size {
			out.WriteString(one())
		}
		return out.String()
	}
	words := strings.Fields("the of and naïve store John's 12,345 x_1 == (transformer) 東京 don't — interpretability")
	emoji := []string{"😀", "👩‍👩‍👧‍👦", "👍🏿", "🏳️‍🌈", "❤️"}
	return map[string]string{
		"prose":    filled(func() string { return words[rng.IntN(len(words))] + " " }),
		"ab":       strings.Repeat("ab", size/2),
		"spaces":   strings.Repeat(" ", size),
		"newlines": strings.Repeat("\n", size),
		"letter":   strings.Repeat("a", size),
		"one cjk":  strings.Repeat("汉", size/3),
		"cjk":      filled(func() string { return string(rune(0x4E00 + rng.IntN(0x5000))) }),
		"emoji":    filled(func() string { return emoji[rng.IntN(len(emoji))] }),
		"digits":   filled(func() string { return string(rune('0' + rng.IntN(10))) }),
		"word":     filled(func() string { return string(rune('a' + rng.IntN(26))) }),
		"marks":    "e" + strings.Repeat("\u0301\u0323", size/4),
		"special":  strings.Repeat("<s><|endoftext|>", size/16),
	}
}

// TestMegabyte: no text takes long for its length. Under the race detector, which is slow by itself, shorter
// texts are only encoded; `make test-go` runs this test without it too. Encoded in detail: offsets are work as well.
func TestMegabyte(t *testing.T) {
	size, limit := 1<<20, 3*time.Second
	if raceDetector {
		size, limit = 1<<14, time.Hour
	}
	texts := longTexts(size)
	for _, name := range storedKinds(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tok := load(t, name)
			for kind, text := range texts {
				if took := quickest(t, tok, text, limit); took >= limit {
					t.Errorf("%d bytes of %s take %v", len(text), kind, took)
				}
			}
		})
	}
}

// quickest is the time of the first try under a limit, or of the best of three: the machine may be busy.
func quickest(t *testing.T, tok *Tokenizer, text string, limit time.Duration) time.Duration {
	t.Helper()
	least := time.Duration(math.MaxInt64)
	for range 3 {
		start := time.Now()
		if _, err := tok.EncodeText(text, Options{AddSpecial: true}); err != nil {
			t.Fatal(err)
		}
		if least = min(least, time.Since(start)); least < limit {
			break
		}
	}
	return least
}
