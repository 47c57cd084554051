// Package config holds the configuration of a model: the fields of transformer_lens 4.3.0's TransformerBridgeConfig
// under its names, their defaults, what is derived from them, and checks. It knows nothing of models or files.
//
// config.go has the fields and what is derived; fields.go reads and writes them by name; validate.go checks them.
package config

import (
	"math"
	"reflect"
)

// Config is what a user sees as model.cfg. JSON names are upstream's. A nil pointer or slice is Python's None.
type Config struct {
	// The model's size.
	DModel  int  `json:"d_model"`
	DHead   int  `json:"d_head"`
	NLayers int  `json:"n_layers"`
	NCtx    int  `json:"n_ctx"`
	NHeads  int  `json:"n_heads"`
	DMLP    *int `json:"d_mlp"`
	DVocab  int  `json:"d_vocab"`

	// Where it runs.
	Device *string `json:"device"`

	// Gates of hooks, and the tokenizer's BOS.
	UseAttnResult     bool `json:"use_attn_result"`
	UseSplitQKVInput  bool `json:"use_split_qkv_input"`
	DefaultPrependBOS bool `json:"default_prepend_bos"`

	// What the layers compute.
	PositionalEmbeddingType string  `json:"positional_embedding_type"`
	NKeyValueHeads          *int    `json:"n_key_value_heads"`
	AttnOnly                bool    `json:"attn_only"`
	GatedMLP                bool    `json:"gated_mlp"`
	UsesRMSNorm             bool    `json:"uses_rms_norm"`
	Eps                     float64 `json:"eps"`
	LayerNormFolding        bool    `json:"layer_norm_folding"`
	ActFn                   string  `json:"act_fn"`
	NormalizationType       *string `json:"normalization_type"`
	NumExperts              *int    `json:"num_experts"`
	ExpertsPerToken         *int    `json:"experts_per_token"`
	FinalRMS                bool    `json:"final_rms"`
	DType                   string  `json:"dtype"`

	// The architecture and its tokenizer.
	Architecture          *string `json:"architecture"`
	TokenizerPrependsBOS  bool    `json:"tokenizer_prepends_bos"`
	TokenizerAppendsEOS   bool    `json:"tokenizer_appends_eos"`
	DefaultPaddingSide    *string `json:"default_padding_side"`
	SplitAttentionWeights bool    `json:"split_attention_weights"`

	// Everything else, in upstream's order.
	ModelName                      string   `json:"model_name"`
	UseAttnScale                   bool     `json:"use_attn_scale"`
	AttnScale                      float64  `json:"attn_scale"`
	UseHookMLPIn                   bool     `json:"use_hook_mlp_in"`
	UseAttnIn                      bool     `json:"use_attn_in"`
	UseQKNorm                      bool     `json:"use_qk_norm"`
	UseLocalAttn                   bool     `json:"use_local_attn"`
	OriginalArchitecture           *string  `json:"original_architecture"`
	FromCheckpoint                 bool     `json:"from_checkpoint"`
	CheckpointIndex                *int     `json:"checkpoint_index"`
	CheckpointLabelType            *string  `json:"checkpoint_label_type"`
	CheckpointValue                *int     `json:"checkpoint_value"`
	TokenizerName                  *string  `json:"tokenizer_name"`
	WindowSize                     *int     `json:"window_size"`
	AttnTypes                      []string `json:"attn_types"`
	InitMode                       string   `json:"init_mode"`
	NDevices                       int      `json:"n_devices"`
	AttentionDir                   string   `json:"attention_dir"`
	Seed                           *int     `json:"seed"`
	InitializerRange               float64  `json:"initializer_range"`
	InitWeights                    bool     `json:"init_weights"`
	ScaleAttnByInverseLayerIdx     bool     `json:"scale_attn_by_inverse_layer_idx"`
	DVocabOut                      int      `json:"d_vocab_out"`
	ParallelAttnMLP                bool     `json:"parallel_attn_mlp"`
	RotaryDim                      *int     `json:"rotary_dim"`
	NParams                        *int     `json:"n_params"`
	UseHookTokens                  bool     `json:"use_hook_tokens"`
	PostEmbeddingLN                bool     `json:"post_embedding_ln"`
	RotaryBase                     int      `json:"rotary_base"`
	TrustRemoteCode                bool     `json:"trust_remote_code"`
	RotaryAdjacentPairs            bool     `json:"rotary_adjacent_pairs"`
	QKNormAfterRope                bool     `json:"qk_norm_after_rope"`
	RotaryInterleavedCosSin        bool     `json:"rotary_interleaved_cos_sin"`
	LoadIn4bit                     bool     `json:"load_in_4bit"`
	PerLayerHeadDim                []int    `json:"per_layer_head_dim"`
	PerLayerNumKeyValueHeads       []int    `json:"per_layer_num_key_value_heads"`
	RelativeAttentionMaxDistance   *int     `json:"relative_attention_max_distance"`
	RelativeAttentionNumBuckets    *int     `json:"relative_attention_num_buckets"`
	DecoderStartTokenID            *int     `json:"decoder_start_token_id"`
	ScaleEmbedding                 *bool    `json:"scale_embedding"`
	TieWordEmbeddings              bool     `json:"tie_word_embeddings"`
	UseNormalizationBeforeAndAfter bool     `json:"use_normalization_before_and_after"`
	AttnScoresSoftCap              float64  `json:"attn_scores_soft_cap"`
	OutputLogitsSoftCap            float64  `json:"output_logits_soft_cap"`
	UseNTKByPartsRope              bool     `json:"use_NTK_by_parts_rope"`
	NTKByPartsLowFreqFactor        float64  `json:"NTK_by_parts_low_freq_factor"`
	NTKByPartsHighFreqFactor       float64  `json:"NTK_by_parts_high_freq_factor"`
	NTKByPartsFactor               float64  `json:"NTK_by_parts_factor"`
	RmsnormUsesOffset              bool     `json:"rmsnorm_uses_offset"`
	AttnImplementation             *string  `json:"attn_implementation"`
	IsAudioModel                   bool     `json:"is_audio_model"`
	IsVisualModel                  bool     `json:"is_visual_model"`
	IsStateful                     bool     `json:"is_stateful"`
	IsMultimodal                   bool     `json:"is_multimodal"`
	VisionHiddenSize               *int     `json:"vision_hidden_size"`
	VisionNumLayers                *int     `json:"vision_num_layers"`
	VisionNumHeads                 *int     `json:"vision_num_heads"`
	MMTokensPerImage               *int     `json:"mm_tokens_per_image"`
	// Extra holds keys that are no field of the class: what the family passes through from its own config
	// (rope_parameters, layer_types, eos_token_id, ...), and what users set.
	Extra map[string]any `json:"-"`
}

// New gives a configuration with every default and the four sizes that have none; Derive is still to be called.
func New(dModel, dHead, nLayers, nCtx int) *Config {
	return &Config{
		DModel: dModel, DHead: dHead, NLayers: nLayers, NCtx: nCtx,
		NHeads:                   -1,
		DVocab:                   -1,
		DefaultPrependBOS:        true,
		PositionalEmbeddingType:  "standard",
		Eps:                      1e-5,
		ActFn:                    "relu",
		NormalizationType:        ptr("LN"),
		DType:                    "float32",
		TokenizerPrependsBOS:     true,
		ModelName:                "custom",
		UseAttnScale:             true,
		AttnScale:                -1,
		InitMode:                 "gpt2",
		NDevices:                 1,
		AttentionDir:             "causal",
		InitializerRange:         -1,
		InitWeights:              true,
		DVocabOut:                -1,
		RotaryBase:               10000,
		AttnScoresSoftCap:        -1,
		OutputLogitsSoftCap:      -1,
		NTKByPartsLowFreqFactor:  1,
		NTKByPartsHighFreqFactor: 4,
		NTKByPartsFactor:         8,
		Extra:                    map[string]any{},
	}
}

// Derive fills what upstream derives when it constructs a config: n_heads, d_mlp, initializer_range and the device.
// It is idempotent. (d_vocab_out is filled when a model is built, as upstream does.)
func (c *Config) Derive() error {
	if c.NHeads == -1 {
		if c.DHead <= 0 || c.DModel%c.DHead != 0 {
			return valueError("n_heads", "d_model (%d) must be divisible by d_head (%d) where n_heads is not given",
				c.DModel, c.DHead)
		}
		c.NHeads = c.DModel / c.DHead
	}
	if c.DMLP == nil {
		c.DMLP = ptr(4 * c.DModel)
	}
	if c.InitializerRange < 0 {
		c.InitializerRange = 1.0 // a gain, for every way but GPT-2's
		if c.InitMode == "gpt2" {
			c.InitializerRange = 0.8 / math.Sqrt(float64(c.DModel))
		}
	}
	if c.Device == nil {
		c.Device = ptr("cpu")
	}
	return nil
}

// NKVHeads is the number of key and value heads: n_key_value_heads, or n_heads where it is None.
func (c *Config) NKVHeads() int {
	if c.NKeyValueHeads != nil {
		return *c.NKeyValueHeads
	}
	return c.NHeads
}

// Clone gives a deep copy.
func (c *Config) Clone() *Config {
	out := *c
	v := reflect.ValueOf(&out).Elem()
	for i := range v.NumField() {
		v.Field(i).Set(cloneValue(v.Field(i)))
	}
	return &out
}

// Equal says whether every field and every extra key has the same value.
func (c *Config) Equal(other *Config) bool {
	if c == nil || other == nil {
		return c == other
	}
	a, b := *c, *other
	if len(a.Extra) == 0 && len(b.Extra) == 0 { // nil and empty are the same
		a.Extra, b.Extra = nil, nil
	}
	return reflect.DeepEqual(a, b)
}

func ptr[T any](v T) *T { return &v }
