// What is tokenized must not depend on the Go that builds this: tables of Unicode come from this package alone.

package tokenizer

import (
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// tableFree are the packages that have no tables of Unicode, or none that the functions below keep from being read.
var tableFree = strings.Fields(`bytes cmp compress/gzip embed encoding/base64 encoding/binary encoding/json errors fmt
	hash/maphash io io/fs iter maps math math/bits os path/filepath runtime slices sort strconv strings sync sync/atomic
	reflect unicode/utf8 github.com/transformer-lens-go/transformer-lens-go/golens/jsontext
	github.com/transformer-lens-go/transformer-lens-go/golens/modelfile
	github.com/transformer-lens-go/transformer-lens-go/golens/pyjson
	github.com/transformer-lens-go/transformer-lens-go/golens/tokenizer/oniguruma`)

// onlyIn are imports of single files: their types alone, behind which stands somebody else's tokenizer.
var onlyIn = map[string][]string{
	"sugarme.go": {"github.com/sugarme/tokenizer", "github.com/sugarme/tokenizer/normalizer"},
}

// readsTables are functions that ask Go's tables: of case, of white space, of what can be printed. Those of
// encoding/json are beside them because their errors change as well; jsontext has others.
var readsTables = map[string][]string{
	"strings": strings.Fields("ToLower ToUpper ToTitle Title ToLowerSpecial ToUpperSpecial ToTitleSpecial Fields FieldsSeq TrimSpace EqualFold"),
	"bytes":   strings.Fields("ToLower ToUpper ToTitle Title ToLowerSpecial ToUpperSpecial ToTitleSpecial Fields FieldsSeq TrimSpace EqualFold"),
	"strconv": strings.Fields("Quote QuoteRune QuoteToGraphic QuoteRuneToGraphic AppendQuote AppendQuoteRune AppendQuoteToGraphic AppendQuoteRuneToGraphic IsPrint IsGraphic"),
	"json":    strings.Fields("Unmarshal"),
}

// quoting finds %q in a format, which has strconv quote.
var quoting = regexp.MustCompile(`%[-# 0-9.]*q`)

// outside lists where a file reads tables that are not this package's.
func outside(name string, file *ast.File) []string {
	var found []string
	for _, imported := range file.Imports {
		path, _ := strconv.Unquote(imported.Path.Value)
		if !slices.Contains(tableFree, path) && !slices.Contains(onlyIn[filepath.Base(name)], path) {
			found = append(found, "imports "+path)
		}
		if imported.Name != nil && readsTables[path] != nil {
			found = append(found, fmt.Sprintf("imports %s as %s", path, imported.Name.Name))
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && slices.Contains(readsTables[x.Name], n.Sel.Name) {
				found = append(found, "uses "+x.Name+"."+n.Sel.Name)
			}
		case *ast.BasicLit:
			if verb := quoting.FindString(n.Value); verb != "" && n.Kind == gotoken.STRING {
				found = append(found, "writes "+verb)
			}
		}
		return true
	})
	return found
}

func TestFaultN11NoTableOfUnicodeIsGos(t *testing.T) {
	files := gotoken.NewFileSet()
	checked := 0
	for _, folder := range []string{".", "oniguruma", "../jsontext", "../pyjson"} {
		paths, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			checked++
			for _, what := range outside(path, file) {
				if folder == "../jsontext" && what == "uses json.Unmarshal" {
					continue // whose errors it says anew
				}
				t.Errorf("%s %s, which changes with the version of Go: unicode_tables.go and jsontext have others", path, what)
			}
		}
	}
	if checked < 60 {
		t.Errorf("only %d files", checked)
	}
}

func TestFaultN11TablesThatAreGosAreFound(t *testing.T) {
	for source, want := range map[string]string{
		`import "unicode"`:                                         "imports unicode",
		`import "golang.org/x/text/unicode/norm"`:                  "imports golang.org/x/text/unicode/norm",
		`import "regexp"`:                                          "imports regexp",
		`import s "strings"`:                                       "imports strings as s",
		`import "strings"; var _ = strings.ToLower("A")`:           "uses strings.ToLower",
		`import "bytes"; var f = bytes.TrimSpace`:                  "uses bytes.TrimSpace",
		`import "strconv"; var _ = strconv.IsPrint('a')`:           "uses strconv.IsPrint",
		`import "fmt"; var _ = fmt.Sprintf("%d %.3q", 1, "")`:      "writes %.3q",
		`import "strings"; var _ = strings.TrimFunc("a", isSpace)`: "",
		`import "unicode/utf8"; var _ = utf8.RuneLen('a')`:         "",
	} {
		file, err := parser.ParseFile(gotoken.NewFileSet(), "x.go", "package x; "+source, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(outside("x.go", file), ", "); got != want {
			t.Errorf("%s: %q, want %q", source, got, want)
		}
	}
}

// TestFaultN11LettersOfNewerVersions has characters that Go 1.26 and Go 1.27 see differently.
func TestFaultN11LettersOfNewerVersions(t *testing.T) {
	normalize := func(config, text string) string {
		n, err := parseNormalizer([]byte(config))
		if err != nil {
			t.Fatal(err)
		}
		p, err := n.normalize(newPiece(text, false))
		if err != nil {
			t.Fatal(err)
		}
		return p.text
	}
	for _, c := range []struct{ config, text, want string }{
		{`{"type":"Lowercase"}`, "\ua7ce\U00016ea0", "\ua7cf\U00016ebb"},   // Unicode 17.0
		{`{"type":"NFKC"}`, "\ua7f1\U0001ccd6", "\ua7f1\U0001ccd6"},        // decompose since 17.0 and 16.0
		{`{"type":"NFD"}`, "\U00011383\U000105c9", "\U00011383\U000105c9"}, // since 16.0
		{`{"type":"NFC"}`, "a\u1acf\u0334", "a\u1acf\u0334"},               // a mark since 17.0
	} {
		if got := normalize(c.config, c.text); got != c.want {
			t.Errorf("%s of %+q is %+q, want %+q", c.config, c.text, got, c.want)
		}
	}
	for r, word := range map[rune]bool{0x16EA0: false, 0x88F: false, 0x10D50: true, 0x1C89: true} { // 17.0 and 16.0
		if isWordRune(r) != word {
			t.Errorf("U+%04X in a word: %v, want %v", r, !word, word)
		}
	}
	if !numericSet().has(0x11DE0) { // 17.0
		t.Error("U+11DE0 is no number")
	}
}
