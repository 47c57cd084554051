"""`boot_transformers`: what its arguments ask for, and the engine model that answers."""

from __future__ import annotations

import functools
import json
import logging
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._engine import arrays
from .._engine.model import EngineModel
from .._engine.tokenizer import EngineTokenizer
from ..config.transformer_lens_config import FLOAT32
from ..given import brief
from ..tokenizer import ModelTokenizer
from .hub import find_local, find_model
from .hub_aliases import official_name
from .placement import FLOATING

if TYPE_CHECKING:
    from .bridge import TransformerBridge

_N_CTX_KEYS = (
    "n_positions",
    "max_position_embeddings",
    "max_context_length",
    "max_length",
    "seq_length",
    "max_sequence_length",
)


def boot_transformers(
    model_name: str | os.PathLike[str],
    hf_config_overrides: dict | None = None,
    device: Any | None = None,
    dtype: Any = FLOAT32,
    tokenizer: Any | None = None,
    load_weights: bool = True,
    trust_remote_code: bool = False,
    model_class: Any | None = None,
    hf_model: Any | None = None,
    n_ctx: int | None = None,
    revision: str | None = None,
    code_revision: str | None = None,
    checkpoint_index: int | None = None,
    checkpoint_value: int | None = None,
    device_map: str | dict[str, str | int] | None = None,
    n_devices: int | None = None,
    max_memory: dict[str | int, str | int] | None = None,
    offload_folder: str | None = None,
) -> TransformerBridge:
    """Load a model with the weights as they are in its checkpoint.

    Args:
        model_name: a Hugging Face folder, a .gguf file, or the id of a repository on the hub (from
            the local cache if it is there whole, else fetched by huggingface_hub). With `hf_model`,
            the name.
        hf_config_overrides: entries of config.json to replace.
        device: "cpu", the only one now.
        dtype: float32, float64, float16 or bfloat16: weights are rounded to it, and every activation is.
            With `hf_model`, the dtype of its weights counts.
        tokenizer: a Hugging Face tokenizer, used as it is; else the one beside the weights. A model whose own
            is of a kind that is not read warns, and takes ids.
        hf_model: a model of transformers' to take configuration and weights from; its tensors are
            shared, not copied.
        n_ctx: the longest sequence, in place of the one in config.json.
        revision: branch, tag or commit of a hub repository.

    No code of a repository is ever run, so `trust_remote_code` changes nothing. Other arguments are
    upstream's; they raise if they ask for anything.

    Raises:
        FileNotFoundError, OSError: there is no such file, folder or repository.
        ValueError: an architecture, a key of config.json or a file that is not understood; another dtype.
        NotImplementedError: an argument that asks for what is not there yet (`device="cuda"`).

    Example:
        >>> model = TransformerBridge.boot_transformers(folder)
        >>> model.cfg.n_layers, model.cfg.d_model
        (3, 32)
    """
    from .bridge import TransformerBridge

    placement = {
        "device_map": device_map,
        "n_devices": None if n_devices == 1 else n_devices,
        "max_memory": max_memory,
    }
    checkpoint = {"checkpoint_index": checkpoint_index, "checkpoint_value": checkpoint_value}
    if revision is not None and _given(checkpoint):
        raise ValueError("Specify either revision= or checkpoint_index/checkpoint_value, not both.")
    if hf_model is not None and _given(placement):
        raise ValueError(
            f"{', '.join(_given(placement))} say where to load a model; hf_model is loaded already"
        )
    if n_ctx is not None and n_ctx <= 0:
        raise ValueError(f"n_ctx must be a positive integer, got n_ctx={n_ctx}.")
    _reject_unsupported(
        {
            "device": None if device is None or str(device).split(":")[0] == "cpu" else device,
            "load_weights": None if load_weights or hf_model is not None else load_weights,
            "model_class": model_class,
            "code_revision": code_revision,
            "offload_folder": offload_folder,
            **checkpoint,
            **placement,
        }
    )
    dtype = _dtype_name(dtype)
    overrides, name = _plain(hf_config_overrides or {}), os.fspath(model_name)
    if not name.strip():
        raise ValueError(
            "model_name is empty: expected a folder, a .gguf file or the id of a repository ('.' is the working folder)"
        )
    if len(os.fsencode(name)) > 4095:  # PATH_MAX, less the NUL
        raise ValueError(f"model_name is longer than a path may be: {brief(name)}")
    if not os.path.exists(name):
        name = official_name(name)
    unread = None
    if hf_model is not None:
        engine = _share(hf_model, overrides, n_ctx, name)
        if tokenizer is None:
            tokenizer, unread = _readable(lambda: _tokenizer_named(name, revision), name)
    else:
        own = tokenizer is None
        engine = _open(find_model(name, revision), overrides, n_ctx, name, dtype, own)
        if own:
            tokenizer, unread = _readable(lambda: _tokenizer_of(engine, name), name)
    for warning in engine.warnings:
        warnings.warn(f"{name}: {warning}", UserWarning, stacklevel=3)
    bridge = TransformerBridge(engine)
    bridge.__dict__["_tokenizer_error"] = unread
    bridge.cfg.trust_remote_code = trust_remote_code
    bridge.set_tokenizer(tokenizer)
    return bridge


def _dtype_name(dtype: Any) -> str:
    """The floating dtype that was asked for; a ValueError for anything else."""
    name = "float32" if dtype is None else arrays.dtype_name(dtype)
    if name not in FLOATING:
        raise ValueError(f"dtype must be one of {', '.join(FLOATING)}, got {brief(dtype)}")
    return name


def _given(arguments: dict[str, Any]) -> list[str]:
    return [name for name, value in arguments.items() if value is not None]


def _reject_unsupported(arguments: dict[str, Any]) -> None:
    """Raise for the first argument that asks for something that is not done."""
    for name in _given(arguments):
        raise NotImplementedError(
            f"boot_transformers: {name}={brief(arguments[name])} is not supported yet; models run on the "
            "CPU, with the weights of their checkpoint"
        )


def _open(
    source: Path,
    overrides: dict[str, Any],
    n_ctx: int | None,
    name: str,
    dtype: str,
    tokenizer: bool,
) -> EngineModel:
    """The engine model of a folder or a GGUF file."""
    try:
        engine = EngineModel.open(
            str(source),
            dtype=dtype,
            config_overrides=overrides,
            n_ctx=n_ctx,
            name=name,
            tokenizer=tokenizer,
        )
    except ValueError as error:
        if n_ctx is not None:
            error.add_note(
                f"n_ctx={n_ctx} was asked for: a model with learned positions (GPT-2) only takes "
                "the one "
                "it was trained with"
            )
        raise
    _warn_of_long_context(source, n_ctx)
    return engine


def _readable(
    read: Callable[[], ModelTokenizer | None], name: str
) -> tuple[ModelTokenizer | None, str | None]:
    """The tokenizer that `read` gives; where it is of a kind that is not read None and why, with a warning: a model
    runs on ids without one. One that is broken raises.
    """
    try:
        return read(), None
    except (ValueError, OSError) as error:
        error.add_note("to load the model without its own tokenizer, pass tokenizer=...")
        raise
    except NotImplementedError as error:
        warnings.warn(
            f"the tokenizer of {name} cannot be read, so that the model takes token ids only, unless you pass "
            f"tokenizer=...: {error}",
            stacklevel=3,
        )
        return None, str(error)


def _tokenizer_of(engine: EngineModel, name: str) -> ModelTokenizer | None:
    found = engine.tokenizer()
    return None if found is None else ModelTokenizer(found, name)


def _tokenizer_named(name: str, revision: str | None) -> ModelTokenizer | None:
    """The tokenizer of a model that came without files of its own, if there is one here."""
    source = find_local(name, revision)
    if source is None:
        return None
    try:
        return ModelTokenizer(EngineTokenizer.open(source), name)
    except FileNotFoundError:
        return None


def _share(hf_model: Any, overrides: dict[str, Any], n_ctx: int | None, name: str) -> EngineModel:
    """An engine model over the tensors of a model of transformers'."""
    if arrays.torch is None:
        raise RuntimeError(
            "hf_model= shares torch tensors, and torch is not in use (TRANSFORMER_LENS_GO_ARRAYS)"
        )
    missing = [name for name in ("config", "state_dict") if not hasattr(hf_model, name)]
    if missing:
        raise TypeError(
            f"hf_model must be a model of transformers', got {type(hf_model).__name__} without "
            f"{' and '.join(missing)}"
        )
    config = hf_model.config.to_dict()
    if not config.get("architectures"):
        config["architectures"] = [type(hf_model).__name__]
    tensors = {name: value.detach() for name, value in hf_model.state_dict().items()}
    elsewhere = {str(tensor.device) for tensor in tensors.values()} - {"cpu"}
    if elsewhere:
        raise ValueError(f"hf_model must be on the CPU, it is on {', '.join(sorted(elsewhere))}")
    return EngineModel.from_state(
        _plain(config),
        tensors,
        dtype=_widest(tensors),
        config_overrides=overrides,
        n_ctx=n_ctx,
        name=name,
    )


def _widest(tensors: dict[str, Any]) -> str:
    """The dtype that holds every floating tensor exactly: that of all, in most models."""
    dtypes = {tensor.dtype for tensor in tensors.values() if tensor.is_floating_point()}
    return (
        arrays.dtype_name(functools.reduce(arrays.torch.promote_types, dtypes))
        if dtypes
        else "float32"
    )


def _plain(value: Any) -> Any:
    """`value` with everything that JSON has no word for as text (dtypes, enums)."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value).removeprefix("torch.")


def _warn_of_long_context(source: Path, n_ctx: int | None) -> None:
    """Warn of sequences longer than those the model was trained on; its folder has been read."""
    if n_ctx is None or not source.is_dir():
        return
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    lengths = (config.get(key) for key in _N_CTX_KEYS)
    trained = next((length for length in lengths if type(length) is int and length > 0), n_ctx)
    if n_ctx > trained:
        logging.warning(
            "n_ctx=%d is more than the %d positions the model was trained on; what it says beyond "
            "those "
            "may be unreliable",
            n_ctx,
            trained,
        )
