// Numbers of tokenizer.json as Hugging Face's tokenizers read them. Their JSON reader (serde_json
// without its option of exact floats) rounds twice: a number comes out a unit in the last place beside
// the nearest one now and then. Scores of a Unigram model are sums of such numbers, and of two ways to
// cut a word that are equally good the rounding decides: so it is done here as it is there.

package tokenizer

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// maxPowerOfTen is the largest power of ten that a float64 holds.
const maxPowerOfTen = 308

// parseLikeSerde reads a JSON number: its digits as an integer of 64 bits, those beyond dropped, times
// or by a power of ten.
func parseLikeSerde(s string) (float64, error) {
	if _, err := strconv.ParseFloat(s, 64); err != nil || strings.Trim(s, "+-.0123456789eE") != "" {
		return 0, fmt.Errorf("found %.40s: expected a number that fits 64 bits", s)
	}
	unsigned, negative := strings.CutPrefix(s, "-")
	digits, power := unsigned, ""
	if at := strings.IndexAny(unsigned, "eE"); at >= 0 {
		digits, power = unsigned[:at], unsigned[at+1:]
	}
	whole, fraction, _ := strings.Cut(digits, ".")
	significand, used := takeDigits(0, whole)
	exponent := len(whole) - used
	significand, used = takeDigits(significand, fraction)
	exponent -= used
	if power != "" {
		n, err := strconv.Atoi(power)
		if err != nil { // so large that only its sign matters
			n = math.MaxInt32
			if power[0] == '-' {
				n = math.MinInt32
			}
		}
		exponent += n
	}
	f, err := scaleByTen(float64(significand), exponent)
	if err != nil {
		return 0, fmt.Errorf("found %.40s: %w", s, err)
	}
	if negative {
		f = -f
	}
	return f, nil
}

// takeDigits appends decimal digits to n for as long as 64 bits hold them.
func takeDigits(n uint64, digits string) (uint64, int) {
	for i := range len(digits) {
		d := uint64(digits[i] - '0')
		if n > (math.MaxUint64-d)/10 {
			return n, i
		}
		n = n*10 + d
	}
	return n, len(digits)
}

func scaleByTen(f float64, exponent int) (float64, error) {
	for exponent < -maxPowerOfTen && f != 0 {
		f /= powerOfTen(maxPowerOfTen)
		exponent += maxPowerOfTen
	}
	switch {
	case f == 0:
		return f, nil
	case exponent < 0:
		return f / powerOfTen(-exponent), nil
	case exponent > maxPowerOfTen:
		return 0, strconv.ErrRange
	}
	f *= powerOfTen(exponent)
	if math.IsInf(f, 0) {
		return 0, strconv.ErrRange
	}
	return f, nil
}

// powerOfTen is the float64 nearest to 10 to the n; math.Pow10 promises as much, from a table.
func powerOfTen(n int) float64 { return math.Pow10(n) }

// throughJSON is what becomes of a number that is written to a tokenizer.json and read again, as
// happens where transformers copies a tokenizer: the shortest digits that tell it apart, then as above.
func throughJSON(f float64) float64 {
	format := byte('f')
	if size := math.Abs(f); size != 0 && (size < 1e-5 || size >= 1e16) {
		format = 'e'
	}
	s := strconv.FormatFloat(f, format, -1, 64)
	if format == 'f' && !strings.Contains(s, ".") {
		s += ".0"
	}
	back, err := parseLikeSerde(s)
	if err != nil {
		return f // an infinity or no number: JSON has none, and no vocabulary either
	}
	return back
}
