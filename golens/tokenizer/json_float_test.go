package tokenizer

import (
	"math"
	"strconv"
	"testing"
)

// TestNumbersAsSerdeReadsThem has numbers beside what tokenizers 0.23 makes of them: of those with
// many digits some come out beside the nearest float64.
func TestNumbersAsSerdeReadsThem(t *testing.T) {
	for text, want := range map[string]float64{
		"0": 0, "-0.0": math.Copysign(0, -1), "1": 1, "-12.5": -12.5, "1e2": 100, "2.5E-3": 0.0025,
		"-7.5819315910339355":    -7.581931591033936,
		"-7.5934648513793945":    -7.593464851379395,
		"18446744073709551615":   18446744073709551615,
		"18446744073709551616":   18446744073709551610,
		"1.00000000000000000001": 1,
		"1e-400":                 0,
		"0e99999999999":          0,
		"5e-99999999999":         0,
		"100e-310":               1e-308,
	} {
		got, err := parseLikeSerde(text)
		if err != nil || math.Float64bits(got) != math.Float64bits(want) {
			t.Errorf("%s is %v (%v), want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "1e999", "x", "1e309", "[1]"} {
		if got, err := parseLikeSerde(text); err == nil {
			t.Errorf("%q is %v, want an error", text, got)
		}
	}
}

func TestThroughJSON(t *testing.T) {
	beside := 0
	for i := range 4000 {
		f := -float64(float32(i+1) * 0.0037)
		got := throughJSON(f)
		if math.Abs(got-f) > math.Nextafter(math.Abs(f), 100)-math.Abs(f) {
			t.Fatalf("%v came back as %v", f, got)
		}
		if got != f {
			beside++
		}
	}
	if beside == 0 {
		t.Error("no number came back changed")
	}
	for _, f := range []float64{0, -1e-7, 3e20, math.Inf(1)} {
		if got := throughJSON(f); got != f {
			t.Errorf("%s came back as %v", strconv.FormatFloat(f, 'g', -1, 64), got)
		}
	}
}
