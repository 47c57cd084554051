"""The PEP 517 backend: setuptools', which asks for a Go toolchain only where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

from setuptools import build_meta

from . import toolchain

build_sdist = build_meta.build_sdist
get_requires_for_build_sdist = build_meta.get_requires_for_build_sdist
prepare_metadata_for_build_wheel = build_meta.prepare_metadata_for_build_wheel
prepare_metadata_for_build_editable = build_meta.prepare_metadata_for_build_editable

Settings = Mapping[str, Any] | None


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    return [
        *build_meta.get_requires_for_build_wheel(config_settings),
        *toolchain.requirements(),
    ]


def get_requires_for_build_editable(config_settings: Settings = None) -> list[str]:
    return [
        *build_meta.get_requires_for_build_editable(config_settings),
        *toolchain.requirements(),
    ]


def build_wheel(
    wheel_directory: str,
    config_settings: Settings = None,
    metadata_directory: str | None = None,
) -> str:
    # setuptools collects files in build/lib*: one that an earlier build left there would get into this wheel.
    for stale in (toolchain.ROOT / "build").glob("lib*"):
        shutil.rmtree(stale)
    return build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)


def build_editable(
    wheel_directory: str,
    config_settings: Settings = None,
    metadata_directory: str | None = None,
) -> str:
    return build_meta.build_editable(wheel_directory, config_settings, metadata_directory)
