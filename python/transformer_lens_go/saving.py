"""`save_pretrained` of `model.tokenizer`: a folder that transformers, and this package, open again. A part of
`ModelTokenizer`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from .core_tokenizer import Tokenizer

CONFIG, TEMPLATE, NAMED_TEMPLATES = (
    "tokenizer_config.json",
    "chat_template.jinja",
    "additional_chat_templates",
)


class TokenizerSaving:
    """Writing a tokenizer's folder."""

    _core: Tokenizer
    _special: dict[str, str | None]
    _extra_special: list[str]
    chat_template: str | dict[str, str] | None
    model_max_length: int
    model_input_names: list[str]
    padding_side: str
    truncation_side: str
    clean_up_tokenization_spaces: bool
    split_special_tokens: bool

    def save_pretrained(
        self, save_directory: str | os.PathLike[str], filename_prefix: str | None = None
    ) -> tuple[str, ...]:
        """Write tokenizer.json, tokenizer_config.json and the chat templates into a folder, which is made if need
        be; their paths.

        What is put around texts, and tokens added since, are in tokenizer.json.
        """
        folder = Path(save_directory)
        if folder.is_file():
            raise NotADirectoryError(f"{folder} is a file: save_pretrained takes a folder")
        folder.mkdir(parents=True, exist_ok=True)
        before = f"{filename_prefix}-" if filename_prefix else ""
        files = {before + CONFIG: json.dumps(self._config(), indent=2, ensure_ascii=False) + "\n"}
        templates = self.chat_template or {}
        if isinstance(templates, str):
            templates = {"default": templates}
        for name, text in templates.items():
            path = TEMPLATE if name == "default" else f"{NAMED_TEMPLATES}/{name}.jinja"
            files[path] = text
        files[f"{before}tokenizer.json"] = self._core.to_str(pretty=True)
        for path, text in files.items():
            target = folder / path
            target.parent.mkdir(exist_ok=True)
            target.write_text(text, encoding="utf-8")
        return tuple(str(folder / path) for path in files)

    def _config(self) -> dict[str, Any]:
        """tokenizer_config.json: the class by whose name transformers takes tokenizer.json at its word."""
        config: dict[str, Any] = {
            "backend": "tokenizers",
            "tokenizer_class": "TokenizersBackend",
            "model_max_length": self.model_max_length,
            "model_input_names": self.model_input_names,
            "padding_side": self.padding_side,
            "truncation_side": self.truncation_side,
            "clean_up_tokenization_spaces": self.clean_up_tokenization_spaces,
        }
        config |= {f"{role}_token": token for role, token in self._special.items() if token}
        if self.split_special_tokens:
            config["split_special_tokens"] = True
        if self._extra_special:
            config["extra_special_tokens"] = list(self._extra_special)
        return config
