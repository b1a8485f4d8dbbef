"""The vendored kernel headers as libclang reads them: records, constants, function-like macros.

Used by generate.py alone. The golden test does not use it: it asks the C compiler instead, so that a
misreading here cannot hide itself there.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clang import cindex

HERE = Path(__file__).resolve().parent
INCLUDE = HERE / "headers"

# Every header that is vendored, in the order in which its names are written out.
HEADERS = (
    "v4l2-controls.h",
    "v4l2-common.h",
    "videodev2.h",
    "media.h",
    "media-bus-format.h",
    "v4l2-mediabus.h",
    "v4l2-subdev.h",
    "dma-buf.h",
    "dma-heap.h",
    "udmabuf.h",
    "sync_file.h",
)

# fcntl.h is for DMA_HEAP_VALID_FD_FLAGS, which names O_CLOEXEC without including it.
SOURCE = "#include <fcntl.h>\n" + "".join(f"#include <linux/{name}>\n" for name in HEADERS)

# Two macros name the kernel's GENMASK, which no user space header defines.
GENMASK = "#define GENMASK(high, low) ((2U << (high)) - (1U << (low)))\n"

K = cindex.TypeKind
LEAVES = {
    K.CHAR_S: "char",
    K.CHAR_U: "char",
    K.SCHAR: "s8",
    K.UCHAR: "u8",
    K.SHORT: "s16",
    K.USHORT: "u16",
    K.INT: "s32",
    K.UINT: "u32",
    K.LONGLONG: "s64",
    K.ULONGLONG: "u64",
    K.LONG: "long",
    K.ULONG: "ulong",
}


@dataclass(frozen=True)
class Leaf:
    """An integer type, by the name that uapi/_base.py gives it."""

    name: str


@dataclass(frozen=True)
class Pointer:
    """A pointer; ``to`` is None for ``void *``."""

    to: Type | None


@dataclass(frozen=True)
class Array:
    of: Type
    length: int


@dataclass(frozen=True)
class Ref:
    """A record that has a tag."""

    name: str


@dataclass
class Record:
    """A struct or union; ``name`` is empty for one without a tag."""

    name: str
    header: str
    line: int
    union: bool
    packed: bool
    size: int
    fields: list[Field] = field(default_factory=list)


@dataclass
class Field:
    """A member; ``name`` is empty for an anonymous struct or union."""

    name: str
    type: Type
    offset: int
    size: int


Type = Leaf | Pointer | Array | Ref | Record


@dataclass(frozen=True)
class Constant:
    """An object-like macro or an enumerator.

    ``enum`` is the enum's tag ("" for one without), None for a macro; ``body`` the macro's text.
    """

    name: str
    header: str
    line: int
    value: int | bytes
    body: str
    enum: str | None


@dataclass
class Headers:
    records: dict[str, Record]
    constants: dict[str, Constant]
    functions: dict[str, str]
    """Function-like macros and inline functions: name to header."""
    typedefs: dict[str, Type]
    enums: dict[str, str]
    """Enum tag to the leaf type behind it."""
    aliases: dict[str, str]
    """Macros that stand for a struct: name to tag."""
    empty: list[str]
    """Macros without a value: include guards."""


def read() -> Headers:
    """Parse the vendored headers."""
    tu = _parse(SOURCE)
    headers = Headers({}, {}, {}, {}, {}, {}, [])
    macros: dict[str, tuple[str, int, str]] = {}
    for cursor in tu.cursor.get_children():
        header = _header_of(cursor)
        if header is None:
            continue
        kind = cursor.kind
        line = cursor.location.line
        if kind in (cindex.CursorKind.STRUCT_DECL, cindex.CursorKind.UNION_DECL):
            if cursor.is_definition() and cursor.spelling:
                headers.records[cursor.spelling] = _record(cursor, header)
        elif kind == cindex.CursorKind.ENUM_DECL:
            tag = "" if cursor.is_anonymous() else cursor.spelling
            if tag:
                headers.enums[tag] = LEAVES[cursor.enum_type.kind]
            _enumerators(cursor, header, tag, headers)
        elif kind == cindex.CursorKind.TYPEDEF_DECL:
            headers.typedefs[cursor.spelling] = _type(cursor.underlying_typedef_type, header)
        elif kind == cindex.CursorKind.FUNCTION_DECL:
            headers.functions[cursor.spelling] = header
        elif kind == cindex.CursorKind.MACRO_DEFINITION:
            if _is_function_like(cursor):
                headers.functions[cursor.spelling] = header
                continue
            tokens = [token.spelling for token in cursor.get_tokens()][1:]
            if tokens:
                macros[cursor.spelling] = (header, line, " ".join(tokens))
            else:
                headers.empty.append(cursor.spelling)
    # The preprocessor's cursors come first, so a macro that stands for a struct shows only here.
    headers.aliases = {name: body for name, (_, _, body) in macros.items() if body in headers.records}
    for name in headers.aliases:
        del macros[name]
    for name, value in _evaluate(macros).items():
        header, line, body = macros[name]
        headers.constants[name] = Constant(name, header, line, value, body, None)
    return headers


def _parse(source: str) -> cindex.TranslationUnit:
    builtin = subprocess.run(
        ["cc", "-print-file-name=include"], check=True, capture_output=True, text=True
    ).stdout.strip()
    return cindex.Index.create().parse(
        "headers.c",
        args=["-x", "c", "-std=gnu11", f"-I{INCLUDE}", "-isystem", builtin],
        unsaved_files=[("headers.c", source)],
        options=cindex.TranslationUnit.PARSE_DETAILED_PROCESSING_RECORD,
    )


def _header_of(cursor: cindex.Cursor) -> str | None:
    """The vendored header that a cursor lies in, or None."""
    file = cursor.location.file
    if file is None:
        return None
    path = Path(file.name)
    return path.name if path.parent.parent == INCLUDE else None


def _is_function_like(cursor: cindex.Cursor) -> bool:
    function: Any = cindex.conf.lib.clang_Cursor_isMacroFunctionLike
    return bool(function(cursor))


def _is_anonymous_member(cursor: cindex.Cursor) -> bool:
    function: Any = cindex.conf.lib.clang_Cursor_isAnonymousRecordDecl
    return bool(function(cursor))


def _enumerators(cursor: cindex.Cursor, header: str, tag: str, headers: Headers) -> None:
    for child in cursor.get_children():
        if child.kind == cindex.CursorKind.ENUM_CONSTANT_DECL:
            body = " ".join(token.spelling for token in child.get_tokens())
            headers.constants[child.spelling] = Constant(
                child.spelling, header, child.location.line, child.enum_value, body, tag
            )


def _record(cursor: cindex.Cursor, header: str) -> Record:
    children = list(cursor.get_children())
    record = Record(
        name="" if cursor.is_anonymous() else cursor.spelling,
        header=header,
        line=cursor.location.line,
        union=cursor.kind == cindex.CursorKind.UNION_DECL,
        packed=any(child.kind == cindex.CursorKind.PACKED_ATTR for child in children),
        size=cursor.type.get_size(),
    )
    known = (cindex.CursorKind.PACKED_ATTR, cindex.CursorKind.FIELD_DECL, cindex.CursorKind.ENUM_DECL)
    for child in children:
        if child.kind in (cindex.CursorKind.STRUCT_DECL, cindex.CursorKind.UNION_DECL):
            # Without a tag and without a declarator it is a member of its own; with a
            # declarator, the FIELD_DECL that follows brings it.
            if _is_anonymous_member(child):
                inner = _record(child, header)
                offset = cursor.type.get_offset(_first_name(inner)) // 8
                record.fields.append(Field("", inner, offset, inner.size))
        elif child.kind == cindex.CursorKind.FIELD_DECL:
            if child.is_bitfield():
                raise NotImplementedError(f"{header}:{child.location.line}: bit-field {child.spelling}")
            record.fields.append(
                Field(
                    child.spelling,
                    _type(child.type, header),
                    child.get_field_offsetof() // 8,
                    child.type.get_size(),
                )
            )
        elif child.kind not in known:
            raise NotImplementedError(f"{header}:{child.location.line}: {child.kind} in {record.name}")
    return record


def _first_name(record: Record) -> str:
    first = record.fields[0]
    return first.name or _first_name(first.type)  # type: ignore[arg-type]


def _type(type_: cindex.Type, header: str) -> Type:
    canonical = type_.get_canonical()
    kind = canonical.kind
    if kind in LEAVES:
        return Leaf(LEAVES[kind])
    if kind == K.ENUM:
        return Leaf(LEAVES[canonical.get_declaration().enum_type.kind])
    if kind == K.POINTER:
        to = canonical.get_pointee()
        return Pointer(None if to.kind == K.VOID else _type(to, header))
    if kind == K.CONSTANTARRAY:
        return Array(_type(canonical.element_type, header), canonical.element_count)
    if kind == K.INCOMPLETEARRAY:
        return Array(_type(canonical.element_type, header), 0)
    if kind == K.RECORD:
        declaration = canonical.get_declaration()
        if declaration.is_anonymous() or not declaration.spelling:
            return _record(declaration, header)
        return Ref(declaration.spelling)
    raise NotImplementedError(f"{header}: {type_.spelling} is {kind}")


def _evaluate(macros: dict[str, tuple[str, int, str]]) -> dict[str, int | bytes]:
    """What each macro is worth, by letting the compiler's front end fold it into an enumerator."""
    values: dict[str, int | bytes] = {}
    order = []
    for name, (_, _, body) in macros.items():
        if match := re.fullmatch(r'"(.*)"', body):
            values[name] = match[1].encode()
        else:
            order.append(name)
    tu = _parse(SOURCE + GENMASK + "".join(f"enum {{ vb2user_{name} = ({name}) }};\n" for name in order))
    first = (SOURCE + GENMASK).count("\n") + 1
    bad = {d.location.line - first for d in tu.diagnostics if d.severity >= cindex.Diagnostic.Error}
    if bad:
        raise ValueError(f"macros that are no integer constants: {[order[i] for i in sorted(bad)]}")
    for cursor in tu.cursor.get_children():
        if cursor.kind == cindex.CursorKind.ENUM_DECL:
            for child in cursor.get_children():
                if child.spelling.startswith("vb2user_"):
                    values[child.spelling.removeprefix("vb2user_")] = child.enum_value
    return values
