"""Layer 4: documents of settings in TOML or JSON files. It knows no device.

A document has tables, two levels deep, of numbers, texts, booleans and lists of numbers. The writer supports
only these parts of TOML. The reader supports all of TOML.

Source: https://toml.io/en/v1.0.0
"""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from vb2user import files
from vb2user.errors import UsageError
from vb2user.text import printable

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_MOST = 1 << 20  #: bytes of a file; the largest control that a header names has some thousand
_DOTS = 100  #: in a line
_LONGEST = 200  #: characters of a parser's words

Document = dict[str, dict[str, Any]]


def write(path: str | os.PathLike[str], document: Mapping[str, Mapping[str, Any]], comment: str = "") -> None:
    """Write a document as TOML or JSON, by the name's ending, ``.toml`` or ``.json``.

    An existing file is replaced as a whole, or stays as it was.

    UsageError: the name has another ending. OSError: the file system's error, with the file's name.
    """
    target = Path(path)
    text = to_json(document) if is_json(target) else to_toml(document, comment)
    files.write_whole(target, [text.encode()])


def read(path: str | os.PathLike[str]) -> Document:
    """Read a document. UsageError: the file is not a document; OSError: the file system's error."""
    source = Path(path)
    as_json = is_json(source)
    try:
        text = _text_of(source)
        found = json.loads(text) if as_json else _toml(source, text)
    except RecursionError:
        raise UsageError(f"{source}: not {_kind(as_json)}: nested too deeply") from None
    except UsageError:
        raise
    except ValueError as e:  # both parsers' errors and that of UTF-8 are of this kind
        raise UsageError(f"{source}: not {_kind(as_json)}: {' '.join(str(e).split())[:_LONGEST]}") from None
    if not isinstance(found, dict) or not all(isinstance(table, dict) for table in found.values()):
        raise UsageError(f"{source} is not a file of settings", hint="it has tables, one of them 'controls'")
    return cast(Document, found)


def _text_of(source: Path) -> str:
    # open() of a pipe that no program writes to would never return.
    with open(source, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        told = os.fstat(file.fileno())
        if not stat.S_ISREG(told.st_mode):
            raise UsageError(f"{source}: settings are in a file, and this is not a regular file")
        raw = file.read(_MOST + 1)
    if len(raw) > _MOST:
        raise UsageError(f"{source}: no file of settings is larger than {_MOST} bytes")
    return raw.decode()


def _toml(source: Path, text: str) -> Any:
    # tomllib's time grows with the square of a dotted key's parts: of 20,000 it takes a minute.
    for number, line in enumerate(text.splitlines(), 1):
        if line.count(".") > _DOTS and not line.lstrip().startswith("#"):
            raise UsageError(f"{source}: not TOML: nested too deeply in line {number}")
    return tomllib.loads(text)


def _kind(as_json: bool) -> str:
    return "JSON" if as_json else "TOML"


def is_json(path: Path) -> bool:
    """Tell whether a file's name means JSON rather than TOML. UsageError: it means neither."""
    if path.suffix.lower() not in (".toml", ".json"):
        raise UsageError(f"{path}: settings are TOML or JSON", hint="give a name that ends in .toml or .json")
    return path.suffix.lower() == ".json"


def to_json(document: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a document as JSON, with escapes for characters that are not printable only."""
    text = json.dumps(document, indent=1, ensure_ascii=False)
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text) + "\n"


def to_toml(document: Mapping[str, Mapping[str, Any]], comment: str = "") -> str:
    """Return a document as TOML, with lines of comment before it."""
    lines = [f"# {printable(line)}" for line in comment.splitlines()]
    for name, table in document.items():
        lines += [""] if lines else []
        lines.append(f"[{_key(name)}]")
        lines += [f"{_key(key)} = {_value(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    return _text(value)


def _text(text: str) -> str:
    # A basic string of TOML is one of JSON, except that each escape is a whole character. A file is shown by
    # terminals and editors, so what is not printable in it is an escape, too.
    return "".join(map(_escaped, json.dumps(text, ensure_ascii=False)))


def _escaped(char: str) -> str:
    if char.isprintable():
        return char
    code = ord(char)
    if 0xD800 <= code <= 0xDFFF:  # a lone surrogate, which TOML cannot express
        return "\ufffd"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
