// Reading SentencePiece's .model files, which are protocol buffers, as far as tokenizers need them.
// The wire format is described in the Protocol Buffers documentation ("Encoding"); the field numbers
// are those of sentencepiece_model.proto.

package tokenizer

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/transformer-lens-go/transformer-lens-go/golens/jsontext"
)

// Kinds of pieces that matter here.
const (
	pieceControl     = 3
	pieceUserDefined = 4
)

const (
	sentencePieceUnigram = 1
	sentencePieceBPE     = 2
)

type sentencePiece struct {
	scoredToken
	kind int
}

// sentencePieceModel is what a .model file says, with the defaults of what it does not say.
type sentencePieceModel struct {
	pieces             []sentencePiece
	kind               int
	byteFallback       bool
	unk, bos, eos, pad int // ids, -1 for none
	unkPiece           string
	charsmap           []byte
	spaces             spaceRules
}

var errProto = errors.New("not a SentencePiece model (nor a tokenizer.json): broken protocol buffer")

// beginsAsTiktoken says whether a file is of the other kind that goes by the name tokenizer.model: lines with a
// token in base 64 and its rank.
func beginsAsTiktoken(raw []byte) bool {
	line, _, _ := bytes.Cut(raw, []byte("\n"))
	token, rank, ok := bytes.Cut(line, []byte(" "))
	_, err := base64.StdEncoding.DecodeString(string(token))
	return ok && err == nil && len(token) > 0 && len(rank) > 0 && len(bytes.Trim(rank, "0123456789\r")) == 0
}

// protoField is one field of a message; value holds numbers, bytes what has a length.
type protoField struct {
	number int
	wire   int
	value  uint64
	bytes  []byte
}

// eachField calls f for every field of a message.
func eachField(b []byte, f func(protoField) error) error {
	for len(b) > 0 {
		key, n := binary.Uvarint(b)
		if n <= 0 || key>>3 == 0 || key>>3 > 1<<29 {
			return errProto
		}
		b = b[n:]
		field := protoField{number: int(key >> 3), wire: int(key & 7)}
		switch field.wire {
		case 0:
			if field.value, n = binary.Uvarint(b); n <= 0 {
				return errProto
			}
		case 1:
			n = 8
		case 2:
			size, m := binary.Uvarint(b)
			if m <= 0 || size > uint64(len(b)-m) {
				return errProto
			}
			n = m + int(size)
			field.bytes = b[m:n]
		case 5:
			if n = 4; len(b) >= 4 {
				field.value = uint64(binary.LittleEndian.Uint32(b))
			}
		default:
			return errProto
		}
		if n > len(b) {
			return errProto
		}
		b = b[n:]
		if err := f(field); err != nil {
			return err
		}
	}
	return nil
}

func parseSentencePiece(raw []byte) (*sentencePieceModel, error) {
	if beginsAsTiktoken(raw) {
		return nil, fmt.Errorf("a vocabulary of tiktoken: %w (save its tokenizer.json: AutoTokenizer.from_pretrained(...).save_pretrained(...))", ErrUnsupported)
	}
	m := &sentencePieceModel{
		kind: sentencePieceUnigram, bos: 1, eos: 2, pad: -1, unkPiece: "<unk>", spaces: spaceRules{prefix: true, trim: true, escape: true},
	}
	err := eachField(raw, func(f protoField) error {
		switch {
		case f.number == 1 && f.wire == 2:
			p, err := parsePiece(f.bytes)
			m.pieces = append(m.pieces, p)
			return err
		case f.number == 2 && f.wire == 2:
			return m.parseTrainerSpec(f.bytes)
		case f.number == 3 && f.wire == 2:
			return m.parseNormalizerSpec(f.bytes)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(m.pieces) == 0 {
		return nil, errors.New("not a SentencePiece model (nor a tokenizer.json): it has no pieces")
	}
	return m, nil
}

func parsePiece(b []byte) (sentencePiece, error) {
	p := sentencePiece{kind: 1}
	err := eachField(b, func(f protoField) error {
		switch {
		case f.number == 1 && f.wire == 2:
			p.text = string(f.bytes)
		case f.number == 2 && f.wire == 5:
			p.score = float64(math.Float32frombits(uint32(f.value)))
		case f.number == 3 && f.wire == 0:
			p.kind = int(f.value)
		}
		return nil
	})
	if err == nil && !utf8.ValidString(p.text) {
		err = fmt.Errorf("piece %s is not UTF-8", jsontext.Quote(p.text))
	}
	return p, err
}

func (m *sentencePieceModel) parseTrainerSpec(b []byte) error {
	numbers := map[int]*int{3: &m.kind, 40: &m.unk, 41: &m.bos, 42: &m.eos, 43: &m.pad}
	return eachField(b, func(f protoField) error {
		switch to := numbers[f.number]; {
		case to != nil && f.wire == 0:
			*to = int(int32(f.value))
		case f.number == 24 && f.wire == 0:
			m.spaces.suffix = f.value != 0
		case f.number == 35 && f.wire == 0:
			m.byteFallback = f.value != 0
		case f.number == 45 && f.wire == 2:
			m.unkPiece = string(f.bytes)
		}
		return nil
	})
}

// roles are the texts of the tokens with a role, by the keys of tokenizer_config.json.
func (m *sentencePieceModel) roles() map[string]string {
	return map[string]string{"bos_token": m.text(m.bos), "eos_token": m.text(m.eos), "unk_token": m.text(m.unk), "pad_token": m.text(m.pad)}
}

func (m *sentencePieceModel) parseNormalizerSpec(b []byte) error {
	flags := map[int]*bool{3: &m.spaces.prefix, 4: &m.spaces.trim, 5: &m.spaces.escape}
	return eachField(b, func(f protoField) error {
		switch to := flags[f.number]; {
		case to != nil && f.wire == 0:
			*to = f.value != 0
		case f.number == 2 && f.wire == 2:
			m.charsmap = f.bytes
		}
		return nil
	})
}

// text is the piece of an id, "" when there is none.
func (m *sentencePieceModel) text(id int) string {
	if id < 0 || id >= len(m.pieces) {
		return ""
	}
	return m.pieces[id].text
}
