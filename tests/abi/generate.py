"""Write vb2user/uapi/_generated/: what v4l2-python3 lacks or has wrong, compared with the kernel's headers.

    python tests/abi/generate.py            write the files
    python tests/abi/generate.py --check    compare them with what would be written; 1 and a diff if not

Needs libclang (the ``dev`` extra) and a C compiler's own headers, no network. The kernel headers are the
vendored ones in tests/abi/headers. What v4l2-python3's module ``v4l2`` has right is not generated but
declared in _generated/taken.py, from where uapi/videodev2.py takes it over.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
import textwrap
import warnings
from ctypes import Array as CArray
from ctypes import Structure, Union, c_char, sizeof
from pathlib import Path
from typing import Any

import cheaders
from cheaders import Array, Constant, Headers, Leaf, Pointer, Record, Ref
from enumtable import COMMON, LAZY, emit_controls, emit_enums, emit_formats

HERE = Path(__file__).resolve().parent
OUT = HERE.parent.parent / "vb2user" / "uapi" / "_generated"
VERSION = (HERE / "headers" / "VERSION").read_text().strip()

MODULES = {
    "controls": ("v4l2-controls.h",),
    "videodev2": ("v4l2-common.h", "videodev2.h"),
    "media": ("media.h",),
    "subdev": ("media-bus-format.h", "v4l2-mediabus.h", "v4l2-subdev.h"),
    "dmabuf": ("dma-buf.h", "dma-heap.h", "udmabuf.h", "sync_file.h"),
}

# Arrays that hold text: there a c_char array is right, which elsewhere cuts the data at its first NUL.
TEXT_FIELDS = {
    "name",
    "driver",
    "card",
    "bus_info",
    "description",
    "model",
    "serial",
    "obj_name",
    "driver_name",
}

# Constants whose value is the C library's, not the kernel header's.
EXPRESSIONS = {"DMA_HEAP_VALID_FD_FLAGS": "_os.O_CLOEXEC | _os.O_ACCMODE"}

IOCTL = re.compile(r"(_IO[RW]*) \( ([^,]+) , ([^,]+?)(?: , (.+))? \)")

# The names that uapi/_base.py supplies.
BASE_NAMES = re.compile(r"(?<![\w.])_(?:[su]\d+|char|u?long|int|void_p|IO[RW]*|Structure|Union|POINTER)\b")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    arguments = parser.parse_args()
    differences = 0
    files = generate()
    for path in sorted(OUT.glob("*.py")):
        if path.name not in files and path.name != "__init__.py":
            print(f"{path.name}: not generated any more", file=sys.stderr)
            differences += 1
    for name, text in files.items():
        path = OUT / name
        old = path.read_text() if path.exists() else ""
        if not arguments.check:
            path.write_text(text)
        elif old != text:
            differences += 1
            sys.stdout.writelines(
                difflib.unified_diff(
                    old.splitlines(True), text.splitlines(True), f"committed/{name}", f"generated/{name}"
                )
            )
    return 1 if differences else 0


def generate() -> dict[str, str]:
    """The text of every generated file, by its name."""
    headers = cheaders.read()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import v4l2
    taken = Taken(headers, vars(v4l2))
    files = {"taken.py": taken.emit()}
    for module, names in MODULES.items():
        files[f"{module}.py"] = Module(module, names, headers, taken).emit()
    files["enums.py"] = emit_enums(headers, preamble, COMMON, "The enumerations that every capture needs.")
    for name, (what, specs) in LAZY.items():
        files[f"{name}.py"] = emit_enums(headers, preamble, specs, what)
    files["control_ids.py"] = emit_controls(headers, preamble)
    files["formats.py"], files["pixelformat.py"] = emit_formats(headers, preamble)
    return files


def preamble(what: str) -> str:
    """The docstring that every generated file begins with."""
    return (
        f'"""{what}\n\n'
        f"Generated from {VERSION} by tests/abi/generate.py: do not edit.\n"
        '"""\n\n'
        "from __future__ import annotations\n"
    )


class Taken:
    """What v4l2-python3 has right: the same type names, members, offsets, kinds and values as C."""

    def __init__(self, headers: Headers, module: dict[str, Any]) -> None:
        self.headers = headers
        self.module = module
        self.records: set[str] = set()
        self.wrong: list[str] = []
        for name, record in headers.records.items():
            if name in module:
                if self._record_is_right(record, module[name]):
                    self.records.add(name)
                else:
                    self.wrong.append(name)
        self.constants = {c.name for c in headers.constants.values() if self._constant_is_right(c)}
        self.typedefs = {
            name
            for name, type_ in headers.typedefs.items()
            if self._type_is_right(type_, module.get(name), "")
        }

    def _constant_is_right(self, constant: Constant) -> bool:
        value = self.module.get(constant.name)
        if not isinstance(value, int) or isinstance(constant.value, bytes):
            return False
        if ioctl := IOCTL.fullmatch(constant.body):
            # The number carries the size, so it is right on every ABI only if the argument is.
            argument = python_type(ioctl[4], self.headers) if ioctl[4] else ""
            right = argument in self.records or argument not in self.headers.records
            return right and value & 0xFFFFFFFF == constant.value
        return value == constant.value

    def _record_is_right(self, record: Record, theirs: Any) -> bool:
        if not isinstance(theirs, type) or not issubclass(theirs, Union if record.union else Structure):
            return False
        fields: list[Any] = list(getattr(theirs, "_fields_", ()))
        anonymous = getattr(theirs, "_anonymous_", ())
        if sizeof(theirs) != record.size or len(fields) != len(record.fields):
            return False
        for ours, (name, type_, *_) in zip(record.fields, fields, strict=True):
            if ours.name != ("" if name in anonymous else name):
                return False
            if getattr(theirs, name).offset != ours.offset:
                return False
            if not self._type_is_right(ours.type, type_, ours.name):
                return False
        return True

    def _type_is_right(self, ours: cheaders.Type, theirs: Any, field: str) -> bool:
        if theirs is None:
            return False
        if isinstance(ours, Record):
            return self._record_is_right(ours, theirs)
        if isinstance(ours, Ref):
            return ours.name in self.records and theirs is self.module[ours.name]
        if isinstance(ours, Array):
            if not issubclass(theirs, CArray) or theirs._length_ != ours.length:
                return False
            if theirs._type_ is c_char:
                return field in TEXT_FIELDS and ours.of in (Leaf("u8"), Leaf("char"))
            return self._type_is_right(ours.of, theirs._type_, field)
        code = getattr(theirs, "_type_", None)
        if isinstance(ours, Pointer):
            if ours.to is None:
                return bool(code == "P")
            return not isinstance(code, str) and self._type_is_right(ours.to, code, "")
        codes = {"char": "c", "s8": "b", "u8": "B", "s16": "h", "u16": "H", "s32": "i", "u32": "I"}
        codes |= {"s64": "l", "u64": "L", "long": "l", "ulong": "L"}
        return bool(code == codes[ours.name])

    def emit(self) -> str:
        lines = [
            preamble(
                "What uapi/videodev2.py takes over from v4l2-python3, because it is right.\n\n"
                "Here it is only declared; videodev2.py fills it in. Of the structs there, these are wrong\n"
                "in size, in a member or in its type, and so supplied by the other files:\n"
                + textwrap.fill(
                    ", ".join(self.wrong) + ".", 100, initial_indent="    ", subsequent_indent="    "
                )
            ),
            "# As typing.TYPE_CHECKING: to import typing takes longer than to run all of this file.",
            "TYPE_CHECKING = False",
            "if TYPE_CHECKING:",
            "    from ctypes import Structure as _Structure",
            "    from ctypes import c_uint64 as _u64",
            "",
        ]
        typedefs = self.headers.typedefs
        lines += [f"    {name} = {spell(typedefs[name], '')}\n" for name in sorted(self.typedefs)]
        records = [name for name in self.headers.records if name in self.records]
        lines += [f"    class {name}(_Structure): ...\n" for name in records]
        types = [*sorted(self.typedefs), *(name for name in self.headers.records if name in self.records)]
        lines += ["", "del TYPE_CHECKING", "", "_TYPES = ("]
        lines += [f'    "{name}",' for name in types]
        lines.append(")")
        for header in cheaders.HEADERS:
            names = [c.name for c in in_order(self.headers, header) if c.name in self.constants]
            if names:
                lines += ["", f"# {header}", ""]
                lines += [f"{name}: int" for name in names]
        return "\n".join(lines) + "\n"


class Module:
    """One generated module: the delta of one or more headers."""

    def __init__(self, name: str, header_names: tuple[str, ...], headers: Headers, taken: Taken) -> None:
        self.name = name
        self.header_names = header_names
        self.headers = headers
        self.taken = taken
        self.used: dict[str, set[str]] = {}

    def emit(self) -> str:
        body: list[str] = []
        for header in self.header_names:
            # Two blank lines after a class.
            body += ["", ""] if body and body[-1].startswith("    ") else [""]
            body += ["#", f"# linux/{header}", "#"]
            body += self._header(header)
        names = ", ".join(self.header_names)
        head = [preamble(f"The names of {names} that v4l2-python3 lacks or has wrong.")]
        if any("_os." in line for line in body):
            head.append("import os as _os\n")
        text = "\n".join(body)
        base = list(set(BASE_NAMES.findall(text)))
        base += [
            name for name in ("timespec", "timeval") if re.search(rf"(?<!struct )\b{name}\b(?=\))", text)
        ]
        base.sort(key=import_order)
        imports = [(".._base", base)]
        own = {name for name, record in self.headers.records.items() if record.header in self.header_names}
        words = set(re.findall(r"\w+", re.sub(r'"[^"]*"', "", text)))
        for module, names_ in MODULES.items():
            if module != self.name:
                wanted = sorted(
                    name
                    for name in words - own
                    if name in self.headers.records
                    and name not in self.taken.records
                    and self.headers.records[name].header in names_
                )
                imports.append((f".{module}", wanted))
        imports.append((".taken", sorted(words & (self.taken.records | self.taken.typedefs))))
        for module, wanted in sorted(imports, key=lambda item: (item[0] != ".._base", item[0])):
            head += import_lines(module, wanted)
        return "\n".join(head) + "\n" + text + "\n"

    def _header(self, header: str) -> list[str]:
        items: list[tuple[int, Constant | Record]] = [
            (c.line, c) for c in in_order(self.headers, header) if c.name not in self.taken.constants
        ]
        items += [
            (r.line, r)
            for r in self.headers.records.values()
            if r.header == header and r.name not in self.taken.records
        ]
        # Every constant is written before the structs, but ioctl numbers, which need them, after.
        items.sort(key=lambda item: (rank(item[1]), item[0]))
        lines: list[str] = []
        last = -10
        previous: Constant | Record | None = None
        for line, item in items:
            if isinstance(item, Record):
                lines += ["", "", *self._record(item)]
            else:
                if isinstance(previous, Record):
                    lines += ["", ""]
                elif previous is None or line > last + 3 or item.enum != previous.enum:
                    lines += [""]
                if item.enum and (not isinstance(previous, Constant) or item.enum != previous.enum):
                    lines.append(f"# enum {item.enum}")
                lines.append(self._constant(item))
            previous = item
            last = line
        for alias, name in self.headers.aliases.items():
            if alias not in self.headers.records and header == "v4l2-subdev.h":
                lines += ["", f"{alias} = {name}"]
        return lines

    def _constant(self, constant: Constant) -> str:
        name, value, body = constant.name, constant.value, constant.body
        if name in EXPRESSIONS:
            return f"{name} = {EXPRESSIONS[name]}"
        if isinstance(value, bytes):
            return f'{name} = b"{value.decode()}"'
        if ioctl := IOCTL.fullmatch(body):
            function, magic, number, argument = ioctl.groups()
            magic = magic.replace("'", '"')
            end = f", {python_type(argument, self.headers)})" if argument else ")"
            return f"{name} = {function}({magic}, {number}{end}"
        if body in self.headers.constants and rank(constant) == 2:
            return f"{name} = {body}"
        if body.startswith("v4l2_fourcc"):
            code = bytes(value >> shift & 0x7F for shift in (0, 8, 16, 24)).decode()
            return f"{name} = 0x{value:08X}  # {code!r}{' big endian' if value >> 31 else ''}"
        return f"{name} = {number_text(value, body)}"

    def _record(self, record: Record) -> list[str]:
        kind = "union" if record.union else "struct"
        lines = [
            f"class {record.name}({'_Union' if record.union else '_Structure'}):",
            f'    """``{kind} {record.name}``, {record.header}"""',
        ]
        members = self._members(record, "    ")
        return [*lines, *([""] if members[0] else []), *members]

    def _members(self, record: Record, indent: str) -> list[str]:
        lines: list[str] = []
        names: list[tuple[str, str]] = []
        anonymous: list[str] = []
        for field in record.fields:
            inner = innermost(field.type)
            name = field.name
            if isinstance(inner, Record):
                if not name:
                    name = "_u" if inner.union else "_s"
                    name += str(len(anonymous)) if anonymous else ""
                    anonymous.append(name)
                class_ = f"_{name.strip('_')}_t"
                lines.append(f"{indent}class {class_}({'_Union' if inner.union else '_Structure'}):")
                lines += self._members(inner, indent + "    ")
                lines.append("")
                names.append((name, spell(field.type, class_)))
            else:
                type_ = spell(field.type, "")
                if isinstance(field.type, Array) and name not in TEXT_FIELDS:
                    type_ = type_.replace("_char *", "_u8 *")
                names.append((name, type_))
        if record.packed:
            # 3.14 wants the layout said when _pack_ is, which older ones ignore.
            lines += [f"{indent}_pack_ = 1", f'{indent}_layout_ = "ms"']
        if anonymous:
            quoted = ", ".join(f'"{name}"' for name in anonymous)
            lines.append(f"{indent}_anonymous_ = ({quoted},)")
        owner = ""
        if any(isinstance(f.type, Pointer) and f.type.to == Ref(record.name) for f in record.fields):
            # A struct that points to its own kind exists before its members do.
            lines, indent, owner = ["", ""], "", f"{record.name}."
        if len(names) == 1:
            name, type_ = names[0]
            return [*lines, f'{indent}{owner}_fields_ = (("{name}", {type_}),)']
        lines.append(f"{indent}{owner}_fields_ = (")
        lines += [f'{indent}    ("{name}", {type_}),' for name, type_ in names]
        lines.append(f"{indent})")
        return lines


def in_order(headers: Headers, header: str) -> list[Constant]:
    """The constants of a header, by line."""
    return sorted((c for c in headers.constants.values() if c.header == header), key=lambda c: c.line)


def rank(item: Constant | Record) -> int:
    """Constants first, records after them, ioctl numbers (and names for them) last."""
    if isinstance(item, Record):
        return 1
    return 2 if item.name.startswith("VIDIOC_") or IOCTL.fullmatch(item.body) else 0


def number_text(value: int, body: str) -> str:
    """A number in the base in which the header writes it, and as the unsigned one that it means."""
    if value < 0 and "<<" in body:
        value &= 0xFFFFFFFF
    if match := re.fullmatch("'(.)'", body):
        return f'ord("{match[1]}")'
    hexadecimal = "0x" in body.lower() or "<<" in body or "|" in body or value > 0xFF
    return f"0x{value:02X}" if hexadecimal else str(value)


def python_type(spelling: str, headers: Headers) -> str:
    """The Python name of the type that an ioctl's macro names."""
    if spelling.endswith("*"):
        return "_void_p"
    kind, _, tag = spelling.rpartition(" ")
    if kind == "enum":
        return "_" + headers.enums[tag]
    plain = {"int": "_int", "__u32": "_u32", "__s32": "_s32", "__u64": "_u64"}
    return plain.get(tag, tag)


def innermost(type_: cheaders.Type) -> cheaders.Type:
    while isinstance(type_, Array):
        type_ = type_.of
    return type_


def spell(type_: cheaders.Type, record: str) -> str:
    """A type as Python source; ``record`` is the class of a struct without a tag."""
    if isinstance(type_, Leaf):
        return "_" + type_.name
    if isinstance(type_, Pointer):
        return "_void_p" if type_.to is None else f"_POINTER({spell(type_.to, record)})"
    if isinstance(type_, Array):
        return f"{spell(type_.of, record)} * {type_.length}"
    return type_.name if isinstance(type_, Ref) else record


def import_order(name: str) -> tuple[bool, list[str | int]]:
    """The order in which ruff sorts imported names: constants first, then by number where there is one."""
    parts = re.split(r"(\d+)", name)
    return not name.isupper(), [int(part) if part.isdigit() else part.lower() for part in parts]


def import_lines(module: str, names: list[str]) -> list[str]:
    if not names:
        return []
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= 110:
        return [line]
    return [f"from {module} import (", *(f"    {name}," for name in names), ")"]


if __name__ == "__main__":
    sys.exit(main())
