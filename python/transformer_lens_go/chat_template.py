"""Chat templates: a conversation as the text that a model was trained to see, by the model's Jinja template.

Templates come with models, so they are run in Jinja's sandbox, and see nothing but plain data. Jinja is the
package jinja2, which is brought by `pip install transformer_lens_go[chat]` (torch brings it too).
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from . import chat_bounds
from .given import brief

_REASONING = (
    "reasoning_content",
    "thinking",
    "reasoning",
)  # names for one thing, the standard first
_MARK = "CONTINUE_FINAL_MESSAGE_TAG "
_OLDEST = (3, 1, 6)  # earlier sandboxes are known to leak


class _Assistant:
    """Where the parts of a conversation that a template marks as generated begin and end."""

    def __init__(self) -> None:
        self.blocks: list[str] | None = None  # what is rendered so far, while somebody asks
        self.spans: list[tuple[int, int]] = []

    def note(self, text: str) -> str:
        if self.blocks is not None:
            begin = sum(map(len, self.blocks))
            self.spans.append((begin, begin + len(text)))
        return text

    def follow(self, template: Any, variables: dict[str, Any]) -> tuple[str, list[tuple[int, int]]]:
        """Render block by block."""
        self.blocks, self.spans = [], []
        try:
            for block in _blocks(template, variables):
                self.blocks.append(block)
            return "".join(self.blocks), self.spans
        finally:
            self.blocks = None


def render(
    template: str,
    conversation: Any,
    variables: dict[str, Any],
    continued: bool | str = False,
    mark_generated: bool = False,
) -> tuple[str, list[tuple[int, int]]]:
    """The text of a conversation (a list of messages), and the characters of it that are marked as generated.

    `continued` leaves the last message open: everything from the end of its content (or of the field that is
    named) on is cut off. Errors of the template are jinja2's `TemplateError`, one that does too much among them.
    """
    with chat_bounds.budget():
        try:
            return _render(template, conversation, variables, continued, mark_generated)
        except (chat_bounds.Exhausted, RecursionError) as error:
            why = "it goes too deep" if isinstance(error, RecursionError) else error
            raise _jinja().exceptions.SecurityError(
                f"the chat template asks for too much: {why}"
            ) from None


def _render(
    template: str,
    conversation: Any,
    variables: dict[str, Any],
    continued: bool | str,
    mark_generated: bool,
) -> tuple[str, list[tuple[int, int]]]:
    compiled, assistant = _compiled(template)
    messages = [_reasoning(message) for message in _messages(conversation)]
    final = ""
    if continued:
        final = _mark_final(
            template, messages, continued if isinstance(continued, str) else "content"
        )
    given = {"messages": messages, **{key: plain(value) for key, value in variables.items()}}
    chat_bounds.allow(given)
    if mark_generated:
        text, spans = assistant.follow(compiled, given)
    else:
        text, spans = "".join(_blocks(compiled, given)), []
    return (_cut_at_mark(text, final) if continued else text), spans


def _blocks(template: Any, variables: dict[str, Any]) -> Iterator[str]:
    """The rendered text in parts."""
    length = 0
    for block in template.generate(variables):
        length += len(block)
        chat_bounds.check_output(length)
        yield block


def marks_generated(template: str) -> bool:
    """Whether a template says which parts a model generates."""
    return re.search(r"\{%-?\s*generation\s*-?%\}", template) is not None


def plain(value: Any) -> Any:
    """A value built anew of JSON's types: a template must not reach methods of what a caller passes in."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return (
            type(value)(map(plain, value))
            if type(value) in (list, tuple)
            else list(map(plain, value))
        )
    if isinstance(value, np.generic):
        return plain(value.item())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    dump = getattr(value, "model_dump", None)  # pydantic's models
    if callable(dump):
        return plain(dump())
    return f"<{type(value).__name__}>"


def _messages(conversation: Any) -> list[dict[str, Any]]:
    messages = plain(getattr(conversation, "messages", conversation))
    if not isinstance(messages, (list, tuple)):
        raise TypeError(f"a conversation is a list of messages, got {type(conversation).__name__}")
    for message in messages:
        if not isinstance(message, dict):
            raise TypeError(f"a message is a dict with role and content, got {message!r:.80}")
    # None is the same as not there: some interfaces write it so, and templates do not expect it
    return [{k: v for k, v in message.items() if v is not None} for message in messages]


def _reasoning(message: dict[str, Any]) -> dict[str, Any]:
    """A message with its reasoning under both names that templates read."""
    found = next((message[name] for name in _REASONING if message.get(name) is not None), None)
    if found is None:
        return message
    return {"thinking": found, **message, "reasoning_content": found}


def _mark_final(template: str, messages: list[dict[str, Any]], field: str) -> str:
    """Put a mark behind the content that is to be continued; the content as it was."""
    if not messages:
        raise ValueError("continue_final_message needs a message, and the conversation is empty")
    last = messages[-1]
    content = last.get(field)
    if content is None:
        raise ValueError(f"continue_final_message: the last message has no {field!r} to continue")
    fields = [field]
    if field in _REASONING:
        fields = [name for name in _REASONING if last.get(name) == content]
    if not any(name in template for name in fields):
        raise ValueError(
            f"continue_final_message: the chat template does not know the field {field!r}"
        )
    if isinstance(content, (list, tuple)):
        for block in reversed(content):
            if "text" in block:
                text = block["text"]
                block["text"] = text + _MARK
                return text
        raise ValueError("continue_final_message: the last message has no text to continue")
    for name in fields:
        last[name] = last[name] + _MARK
    return content


def _cut_at_mark(text: str, final: str) -> str:
    mark = _MARK.strip()
    if mark not in text or final.strip() not in text:
        raise ValueError(
            "continue_final_message: the chat template leaves out a part of the last message, so that its end "
            f"is not to be found. The message: {brief(final.strip())}. The text: {brief(text)}"
        )
    at = text.rindex(mark)
    if text[at : at + len(_MARK)] == _MARK:
        return text[:at]
    return text[:at].rstrip()  # the template trims messages: so it would have done with this one


@functools.lru_cache(maxsize=32)
def _compiled(template: str) -> tuple[Any, _Assistant]:
    """A template with the filters, functions and tags that templates of models use."""
    jinja2 = _jinja()
    assistant = _Assistant()

    class Generation(jinja2.ext.Extension):
        """{% generation %} ... {% endgeneration %}: what a model writes."""

        tags = {"generation"}  # noqa: RUF012 - jinja2's own form

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            call = jinja2.nodes.CallBlock(self.call_method("_note"), [], [], body)
            return call.set_lineno(line)

        def _note(self, caller: Callable[[], str]) -> str:
            return assistant.note(caller())

    environment = chat_bounds.rules(jinja2)(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals.update(
        raise_exception=_raise,
        strftime_now=_strftime_now,
        dict=_Dict(),
        namespace=_namespace(jinja2),
    )
    environment.guard()
    return environment.from_string(template), assistant


def _jinja() -> Any:
    try:
        import jinja2
        import jinja2.ext
        import jinja2.sandbox
    except ImportError as error:
        raise ImportError(
            "chat templates need jinja2: pip install 'transformer_lens_go[chat]', or jinja2 itself"
        ) from error
    version = tuple(int(part) for part in re.findall(r"\d+", jinja2.__version__)[:3])
    if version < _OLDEST:
        raise ImportError(
            f"chat templates need jinja2 3.1.6 or newer, and {jinja2.__version__} is installed: templates come "
            "with models, and older versions do not hold them in; pip install -U jinja2"
        )
    return jinja2


# What templates can call are plain functions and objects without attributes: the sandbox keeps them from the
# rest of a function, and would not keep them from the parts of a functools.partial.


def _raise(message: str) -> None:
    raise _jinja().exceptions.TemplateError(message)


def _strftime_now(form: str) -> str:
    return datetime.datetime.now().strftime(form)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON as it is; Jinja's own filter would write <, > and & for HTML."""
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


class _Dict:
    """`dict` in templates, without the rest of the class."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict:
        return dict(*args, **kwargs)

    def fromkeys(self, *args: Any) -> dict:
        """As dict.fromkeys."""
        return dict.fromkeys(*args)


def _namespace(jinja2: Any) -> type:
    """`namespace` in templates, which keeps no names that begin with an underscore."""

    def check(name: Any) -> None:
        if isinstance(name, str) and name.startswith("_"):
            raise jinja2.exceptions.SecurityError(
                f"a chat template cannot keep {brief(name)} in a namespace"
            )

    class Namespace(jinja2.utils.Namespace):
        def __init__(
            *args: Any, **kwargs: Any
        ) -> None:  # a namespace may have a member called self
            self, *given = args
            values = dict(*given, **kwargs)
            for name in values:
                check(name)
            jinja2.utils.Namespace.__init__(self, values)

        def __setitem__(self, name: str, value: Any) -> None:
            check(name)
            super().__setitem__(name, value)

    return Namespace
