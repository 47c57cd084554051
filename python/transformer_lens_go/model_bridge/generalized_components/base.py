"""The base of all components: a named part of an engine model, with its hook points, weights and sub-parts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

from ..._engine import arrays
from ..._engine.inputs import float_input, token_ids
from ..._engine.masks import of_keys
from ..._engine.module import EnginePart, Module
from ..._engine.params import LazyTable, strided_view
from ..._engine.parts import Frame
from ..._engine.run import Question, run
from ...given import brief
from ...hook_points import HookPoint
from ..placement import PlacementMixin
from ..tree import describe, parts_of, title

__all__ = ["ABSENT", "GeneralizedComponent", "View"]


# What upstream's components have and ours, which wrap no Hugging Face module, do not.
ABSENT = {
    "original_component": "it stands for a part of the engine's graph and wraps no torch module",
    "original_model": "the model runs in the engine and wraps no Hugging Face model",
    **dict.fromkeys(
        """set_original_component set_processed_weights setup_hook_compatibility mark_pos_dim get_random_inputs
        disable_warnings mirror_placeholder_hooks hook_out_is_single_residual_stream uses_weight_offset""".split(),
        "it is about the torch module that transformer_lens's components wrap, and ours wrap none",
    ),
}

# How GPT-2 calls its blocks; what stands behind hidden_states is the keyword of that name elsewhere.
_POSITIONAL = ("hidden_states", "past_key_values", "attention_mask", "encoder_hidden_states")

_WEIGHTS = ("_parameters", "_buffers", "_views")
_TABLES = ("_modules", "_aliases", *_WEIGHTS)


class View(NamedTuple):
    """A weight as users read it: a view of a parameter ("stored"), None ("none"), or zeros ("zeros")."""

    kind: str
    shape: tuple[int, ...]
    parameter: int = -1
    strides: tuple[int, ...] = ()
    offset: int = 0

    def read(self, store: Any, owner: str) -> Any:
        """The array, or None."""
        if self.kind == "none":
            return None
        if self.kind == "zeros":
            return store.zeros(owner, self.shape)
        return strided_view(store.get(self.parameter), self.shape, self.strides, self.offset)


class GeneralizedComponent(EnginePart, PlacementMixin, Module):
    """A part of a model. Called by itself it runs that part, hooks included, on what it is given."""

    hook_in: HookPoint
    hook_out: HookPoint

    is_list_item: ClassVar[bool] = False
    hook_aliases: ClassVar[dict[str, str]] = {}
    property_aliases: ClassVar[dict[str, str]] = {}

    def __init__(
        self,
        name: str | None,
        config: Any = None,
        submodules: dict[str, GeneralizedComponent] | None = None,
        conversion_rule: Any = None,
        hook_alias_overrides: dict[str, str] | None = None,
        optional: bool = False,
    ) -> None:
        super().__init__()
        # past Module.__setattr__: a model has thousands of these
        self.__dict__.update(
            name=name,
            config=config,
            submodules=dict(submodules or {}),
            conversion_rule=conversion_rule,
            optional=optional,
            compatibility_mode=False,
            _engine=None,
            _indices={},
            _views={},
            _aliases={},
            _points={},
            _seat=None,
        )
        if hook_alias_overrides is not None:
            self.__dict__["hook_aliases"] = {**type(self).hook_aliases, **hook_alias_overrides}
        self._modules.update(self.submodules)

    def _bind(
        self,
        engine: Any,
        points: dict[str, HookPoint],
        parameters: dict[str, int],
        views: dict[str, View],
    ) -> None:
        """Become a part of `engine` with these hook points, parameters (by index) and other weights."""
        read = {name: partial(engine.params.get, index) for name, index in parameters.items()}
        fixed = {
            name: view for name, view in views.items() if view.kind == "zeros" and name == "bias"
        }
        buffers = {
            name: partial(view.read, engine.params, self.name) for name, view in fixed.items()
        }
        self.__dict__.update(
            training=False,
            _engine=engine,
            _path=self.name,  # `name` is what a HookedRootModule around the model may call it
            _points=points,
            _indices=parameters,
            _parameters=LazyTable(read),
            _buffers=LazyTable(buffers),
            _views={n: v for n, v in views.items() if n not in parameters and n not in fixed},
        )
        self._modules.update(points)

    def _add_part(self, name: str, part: Any) -> None:
        self._modules[name] = part
        self.submodules[name] = part

    def _engine_part(self) -> str:
        return "" if self._engine is None else f"{self.name} ({type(self).__name__})"

    def _is_engine_name(self, name: str) -> bool:
        return any(name in self.__dict__.get(table, ()) for table in _WEIGHTS)

    def __setattr__(self, name: str, value: Any) -> None:
        alias = self.__dict__.get("_aliases", {}).get(name)
        if alias is None:
            super().__setattr__(name, value)
            return
        owner, short = self._seat[0].owner_of(alias)
        setattr(owner, short, value)

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        view = own.get("_views", {}).get(name)
        if view is not None:
            return view.read(own["_engine"].params, own["name"])
        alias = own.get("_aliases", {}).get(name)
        if alias is not None:
            return own["_seat"][0].at(alias)
        if name in ABSENT:
            raise AttributeError(
                f"{own.get('name') or type(self).__name__} has no {name}: {ABSENT[name]}"
            )
        return super().__getattr__(name)

    def __dir__(self) -> list[str]:
        named = (name for table in _TABLES for name in self.__dict__[table])
        return sorted({*super().__dir__(), *named})

    def _weights(self) -> dict[str, tuple]:
        """This component's weights by attribute: the shape, and for views what else tells them apart."""
        if self._engine is None:
            return {}
        stored = {name: (self._engine.params.shapes[i], i, 0) for name, i in self._indices.items()}
        views = {
            name: (view.shape, view.parameter, view.offset)
            for name, view in self._views.items()
            if view.kind != "none"
        }
        return {**stored, **views}

    def __repr__(self) -> str:
        return describe(title(self), parts_of(self))

    def get_hooks(self) -> dict[str, HookPoint]:
        """The component's own hook points by their short names."""
        return dict(self._points)

    def add_hook(self, hook_fn: Any, hook_name: str = "output") -> None:
        """Add a hook to what comes out ("output") or goes in ("input")."""
        self._side(hook_name).add_hook(hook_fn)

    def remove_hooks(self, hook_name: str | None = None) -> None:
        """Take the hooks off the output, the input, or (None) both."""
        for side in ("input", "output") if hook_name is None else (hook_name,):
            self._side(side).remove_hooks(dir="both")

    def _side(self, hook_name: str) -> HookPoint:
        sides = {"output": "hook_out", "input": "hook_in"}
        if hook_name not in sides:
            raise ValueError(
                f"Hook name {brief(hook_name)} not supported. Supported names are 'output' and 'input'."
            )
        return self._points[sides[hook_name]]

    # computed by somebody else

    _is_point: ClassVar[bool] = False

    @classmethod
    def _arguments(cls, frame: Frame) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What upstream calls a component of this class with, of the values that enter it in the graph."""
        return (frame.values["x"],), {}

    @classmethod
    def _outputs(cls, result: Any) -> list[Any]:
        """What comes out of the part in the graph, of what a module in the component's place returned."""
        return [result[0] if isinstance(result, (tuple, list)) and result else result]

    # running by itself

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """[..., d_model], past the hook points: where nothing is normalised, a component of this class stands."""
        given = args or (kwargs.get("hidden_states"),)
        if len(given) != 1 or given[0] is None:
            raise TypeError(
                f"{self.name} takes hidden_states [..., d_model], got {len(args)} arguments"
            )
        return self._positionwise("hidden_states", given[0], self.config.d_model)

    def _ask(self, arguments: dict[str, Any]) -> list[Any]:
        """Run this part on arrays by argument name; its outputs."""
        if self._engine is None:
            raise RuntimeError(f"the component {self.name!r} belongs to no model and cannot run")
        question = Question(component=self._path, arguments=arguments, output="component")
        with run(self._engine, question) as answer:
            name = f"the output of {self.name}"
            return [answer.output(name), *answer.extra(name)]

    def _dtype(self) -> str:
        """The dtype of the model that this is a part of; without one, running says what is wrong."""
        return "float32" if self._engine is None else self._engine.dtype

    def _positionwise(self, argument: str, value: Any, width: int | None) -> Any:
        """Run on floats [..., width], where each position is by itself."""
        array = float_input(value, width, f"the input of {self.name}", self._dtype())
        lead = tuple(array.shape[:-1])
        (out,) = self._ask({argument: array.reshape((*_two_axes(lead), array.shape[-1]))})
        shape = (*lead, _product(out.shape[2:]))
        return out if tuple(out.shape) == shape else out.reshape(shape)

    def _on_ids(self, argument: str, value: Any) -> Any:
        """Run on ids [...], where each position is by itself."""
        array = arrays.asarray(value)
        lead = tuple(array.shape)
        (out,) = self._ask({argument: token_ids(array.reshape(_two_axes(lead)))})
        return out if len(lead) == 2 else out.reshape((*lead, out.shape[-1]))

    def _on_stream(self, args: tuple, kwargs: dict[str, Any]) -> list[Any]:
        """Run on hidden states [batch, pos, d_model] with what the block before would pass along."""
        if len(args) > len(_POSITIONAL) or (not args and kwargs.get("hidden_states") is None):
            raise TypeError(f"{self.name} takes hidden_states [batch, pos, d_model] and keywords")
        kwargs = {**dict(zip(_POSITIONAL, args, strict=False)), **kwargs}
        given = {
            key: value
            for key, value in kwargs.items()
            if value is not None and value is not False and key != "use_cache"
        }
        hidden = float_input(
            given.pop("hidden_states"),
            self.config.d_model,
            f"hidden_states of {self.name}",
            self._dtype(),
            3,
        )
        arguments = {"hidden_states": hidden}
        if "attention_mask" in given:
            mask, window = given.pop("attention_mask"), self._seat[0].window(self._path)
            batch, pos = hidden.shape[:2]
            mask = of_keys(mask, batch, pos, window, f"attention_mask of {self.name}")
            arguments["attention_mask"] = mask
        if "position_ids" in given:
            arguments["position_ids"] = token_ids(given.pop("position_ids"))
        if "position_embeddings" in given:
            cos, sin = given.pop("position_embeddings")
            width = cos.shape[-1]
            arguments["cos"] = float_input(
                cos, width, "the cosines of position_embeddings", self._dtype(), 3
            )
            arguments["sin"] = float_input(
                sin, width, "the sines of position_embeddings", self._dtype(), 3
            )
        if given:
            raise NotImplementedError(
                f"{self.name}: the engine does not take {', '.join(sorted(given))}"
            )
        return self._ask(arguments)


def _two_axes(lead: tuple[int, ...]) -> tuple[int, int]:
    """[batch, pos] for any number of leading axes."""
    return lead if len(lead) == 2 else (1, _product(lead))  # type: ignore[return-value]


def _product(sizes: Sequence[int]) -> int:
    total = 1
    for size in sizes:
        total *= size
    return total
