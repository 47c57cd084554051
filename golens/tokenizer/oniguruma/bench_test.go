package oniguruma

import (
	"strings"
	"testing"
)

const (
	gpt2   = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	llama3 = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

var prose = strings.Repeat("It wasn't the first time, and she'd said so in 1984: \"naïve\" questions cost nothing.\n", 200)

func benchmark(b *testing.B, expr, text string) {
	re, err := Compile(expr)
	if err != nil {
		b.Fatal(err)
	}
	count := 0
	b.ReportAllocs()
	for b.Loop() {
		if err := re.Each(text, func(_, _ int) { count++ }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(count), "ns/match")
}

func BenchmarkGPT2(b *testing.B)   { benchmark(b, gpt2, prose) }
func BenchmarkLlama3(b *testing.B) { benchmark(b, llama3, prose) }
func BenchmarkBacktracker(b *testing.B) {
	benchmark(b, `\p{N}(?=(?:\p{N}{3})+(?!\p{N}))|\w+`, prose)
}
func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		if _, err := Compile(llama3); err != nil {
			b.Fatal(err)
		}
	}
}
