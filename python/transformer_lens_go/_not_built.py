"""What transformer_lens 4.3.0 has and this package not yet: importing it, or looking it up, says so.

Tables of modules and of names, with what to do meanwhile. A finder behind all others answers `import` of a module in
them; `names_of` makes the `__getattr__` of a module of ours in which names are missing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib.abc import MetaPathFinder
from opcode import opmap
from types import MappingProxyType
from typing import Any, NoReturn

__all__ = ["install", "names_of"]

_PACKAGE = __package__ or "transformer_lens_go"
_PAGE = "docs/errors/not_built_yet.md"

# Modules, with all below them, and what to do meanwhile. Those of 3.x are there too: scripts still import them.
_MODULES: dict[str, str] = {
    **dict.fromkeys(
        """BertNextSentencePrediction HookedAudioEncoder HookedEncoder HookedEncoderDecoder HookedTransformer
        HookedTransformerConfig components loading loading_from_pretrained pretrained train""".split(),
        "TransformerBridge.boot_transformers is where to start",
    ),
    "utils": "transformer_lens 4 calls it utilities, and so does transformer_lens_go",
    "FactoredMatrix": "multiply the weights themselves (model.blocks[0].attn.W_V @ model.blocks[0].attn.W_O)",
    "SVDInterpreter": "torch.linalg.svd or numpy.linalg.svd takes a weight (model.blocks[0].mlp.W_out)",
    "benchmarks": "",
    "conversion_utils": "hooks take any object with convert() and revert() (HookPoint.enable_reshape)",
    "evals": 'model(text, return_type="loss") measures a model',
    "factories": "",
    "head_detector": "examples/induction_heads.py finds heads by their patterns",
    "lit": "",
    "model_protocol": "",
    "patching": "examples/activation_patching.py does it by hand, with hooks",
    "supported_models": "README.md lists the architectures that load",
    "tools": "examples/ has the logit lens, attribution and patching, by hand",
    "weight_processing": "canonical names and aliases work without it; weights are as in the checkpoint",
    "model_bridge.get_params_util": "named_parameters() and model.blocks[0].attn.W_Q have the weights",
    "model_bridge.bridge_core": "TransformerBridge is in model_bridge.bridge",
    "model_bridge.transformer_bridge": "TransformerBridge is in model_bridge.bridge",
    "model_bridge.sources": "TransformerBridge.boot_transformers and boot_native are here",
    **dict.fromkeys(
        """model_bridge.architecture_adapter model_bridge.buffer_restore model_bridge.compat
        model_bridge.composition_scores model_bridge.driver_protocol model_bridge.remote_bridge
        model_bridge.supported_architectures model_bridge.types utilities.addmm utilities.aliases
        utilities.architectures utilities.attention utilities.attn_implementation utilities.attribute_utils
        utilities.bridge_components utilities.defaults_utils utilities.devices utilities.exploratory_utils
        utilities.gpu_utils utilities.hf_utils utilities.initialization_utils utilities.library_utils
        utilities.matrix utilities.multi_gpu utilities.parameter_swap utilities.position_ids
        utilities.quantization utilities.statistics utilities.tl_checkpoint_conversion utilities.tracr
        utilities.typed_module_list""".split(),
        "",
    ),
    **{
        f"model_bridge.generalized_components.{name}": ""
        for name in """alibi_joint_qkv_attention alibi_utils altup_block audio_feature_extractor bloom_attention
        bloom_block bloom_mlp clip_vision_encoder codegen_attention conv1d conv_pos_embed depthwise_conv1d
        gated_delta_net gated_rms_norm glm_moe_dsa_attention joint_gate_up_mlp
        joint_qkv_position_embeddings_attention lfm2_gated_short_conv mla_attention moe mpt_alibi_attention
        opaque_block pooler position_embedding_hooks_mixin qwen3_5_vision_encoder siglip_vision_encoder ssm2_mixer
        ssm_block ssm_mixer ssm_protocol symbolic t5_block t5gemma2_decoder_block t5gemma2_merged_attention
        t5gemma_decoder_block vision_classifier_head vision_embeddings vision_encoder vision_projection""".split()
    },
}

# Names that modules of ours have not. A module's submodules are in the table above.
_NAMES: dict[str, str] = {
    "model_bridge": """ArchitectureAdapter BridgeCore ComponentMapping HookFunction HookRegistry JointGateUpMLPBridge
        MoEBridge RemoteBridge RemoteComponent RemoteModel RemotePath TransformerLensPath replace_remote_component
        set_original_components setup_blocks_bridge setup_components setup_submodules""",
    "model_bridge.bridge": "BridgeCore RemoteBridge",
    "model_bridge.generalized_components": """ALiBiJointQKVAttentionBridge AltUpBlockBridge
        AudioFeatureExtractorBridge BertPoolerBridge BloomAttentionBridge BloomBlockBridge BloomMLPBridge
        CLIPVisionEncoderBridge CLIPVisionEncoderLayerBridge CodeGenAttentionBridge Conv1DBridge ConvPosEmbedBridge
        DelegatedAttentionBlockBridge DepthwiseConv1DBridge GatedRMSNormBridge GlmMoeDsaAttentionBridge
        JointGateUpMLPBridge JointQKVPositionEmbeddingsAttentionBridge Lfm2ShortConvBridge MLAAttentionBridge
        MLABlockBridge MPTALiBiAttentionBridge MoEBridge MoERouterBridge OpaqueBlockBridge ParallelBlockBridge
        Qwen3_5VisionBlockBridge Qwen3_5VisionEncoderBridge SSM2MixerBridge SSMBlockBridge SSMMixerBridge
        SSMMixerProtocol SSMStateHookMixin ScaledResidualBlockBridge SiglipVisionEncoderBridge
        SiglipVisionEncoderLayerBridge SymbolicBridge T5BlockBridge T5Gemma2DecoderBlockBridge
        T5Gemma2MergedAttentionBridge T5GemmaDecoderBlockBridge VisionClassifierHeadBridge VisionEmbeddingsBridge
        VisionProjectionBridge find_ssm_mixer""",
    "utilities": """ActivationFunction LocallyOverridenDefaults ModelWithCfg NonlinearityType SUPPORTED_ACTIVATIONS
        SuccessRateInterval TypedModuleList USE_DEFAULT_VALUE apply_softcap bootstrap_ci calc_fan_in_and_fan_out
        calculate_available_device_cuda_memory check_structure clear_huggingface_cache composition_scores
        count_unique_devices derive_generator determine_available_memory_for_available_devices download_file_from_hf
        filter_dict_by_prefix find_embedding_device gelu_fast gelu_new get_best_available_cuda_device
        get_best_available_device get_cumsum_along_dim get_dataset get_device get_device_for_block_index
        get_matrix_corner get_nested_attr get_offset_position_ids get_rotary_pct_from_config get_tokenizer_with_bos
        init_kaiming_normal_ init_kaiming_uniform_ init_xavier_normal_ init_xavier_uniform_ is_library_available
        is_lower_triangular is_square keep_single_column logits_to_df move_to_and_update_config
        override_or_use_default_value print_gpu_mem repeat_along_head_dimension resolve_device_map sample_logits
        select_compatible_kwargs set_nested_attr sign_flip_permutation_pvalue solu
        sort_devices_based_on_available_memory standard_error success_rate_ci temporarily_swap_parameter test_prompt
        tokenize_and_concatenate transpose warn_if_mps""",
    "utilities.activation_functions": """ActivationFunction SUPPORTED_ACTIVATIONS XIELU apply_softcap gelu_fast
        gelu_new gelu_pytorch_tanh relu2 solu xielu""",
    "utilities.logits_utils": "logits_to_df",
    "utilities.tensors": """check_structure filter_dict_by_prefix get_cumsum_along_dim get_offset_position_ids
        is_lower_triangular is_square repeat_along_head_dimension transpose""",
    "utilities.tokenize_utils": "get_tokenizer_with_bos tokenize_and_concatenate",
}

# What to do in place of single names.
_INSTEAD = {
    "test_prompt": "model(prompt)[0, -1].argmax() is the likeliest next token, examples/first_look.py shows more",
    "sample_logits": "it is in utilities.logits_utils",
    "tokenize_and_concatenate": "model.to_tokens takes a list of texts",
}


def _module_entry(path: str) -> str | None:
    """The entry of the table that a module belongs to: its own, or that of the nearest package above."""
    while path and path not in _MODULES:
        path = path.rpartition(".")[0]
    return path or None


def _text(path: str) -> str:
    entry = _module_entry(path)
    instead = _MODULES[entry] if entry else _INSTEAD.get(path.rpartition(".")[2], "")
    return (
        f"{_PACKAGE}.{path} is part of transformer_lens and not of this version of transformer_lens_go yet"
        f"{instead and '; ' + instead} ({_PAGE})"
    )


class _Finder(MetaPathFinder):
    """Asked for what no other finder has: raises ModuleNotFoundError for modules in the table."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:
        package, _, inner = fullname.partition(".")
        if package != _PACKAGE or _module_entry(inner) is None:
            return
        asking = sys._getframe(2).f_globals.get("__name__")
        if asking != "importlib.util":  # its find_spec asks whether there is one, and None says no
            raise ModuleNotFoundError(_text(inner), name=fullname)


def install() -> None:
    """Have imports of what is not there answered, from now on."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())


def names_of(
    module: str, moved: Mapping[str, str] = MappingProxyType({})
) -> Callable[[str], NoReturn]:
    """The `__getattr__` of a module of ours: an error that says which names transformer_lens has there.

    `moved` says of names that are elsewhere where that is. `from module import name` gets an ImportError. All else
    gets an AttributeError, so that hasattr, getattr with a default, and pickle, which looks through modules for
    names, go on.
    """
    inner = module.removeprefix(_PACKAGE).removeprefix(".")
    names = set(_NAMES.get(inner, "").split())

    def __getattr__(name: str) -> NoReturn:
        path = f"{inner}.{name}" if inner else name
        if name not in names and name not in moved and path not in _MODULES:
            raise AttributeError(
                f"module {module!r} has no attribute {name!r}", name=name, obj=sys.modules[module]
            )
        text = moved.get(name) or _text(path)
        caller = sys._getframe(1)
        # Python drops an AttributeError here, and says "cannot import name" without a reason
        if caller.f_code.co_code[caller.f_lasti] == opmap["IMPORT_FROM"]:
            raise ImportError(text, name=module)
        raise AttributeError(text, name=name, obj=sys.modules[module])

    return __getattr__
