"""What the C compiler makes of the kernel's headers: the other side of the golden comparison.

Independent of the generator: macro names come from the preprocessor, enumerators and members from a
small reader of its output, and every number from the compiler itself, out of a constant array in an
object file. So nothing is run, and an ABI can be asked about that this machine could not execute.
"""

from __future__ import annotations

import re
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

HEADERS = (
    "videodev2.h",
    "v4l2-controls.h",
    "v4l2-common.h",
    "media.h",
    "v4l2-subdev.h",
    "v4l2-mediabus.h",
    "media-bus-format.h",
    "dma-buf.h",
    "dma-heap.h",
    "udmabuf.h",
    "sync_file.h",
)
VENDORED = Path(__file__).resolve().parent / "headers"

# GENMASK is the kernel's; two macros name it though no header for user space defines it.
PROLOGUE = "#include <fcntl.h>\n#define GENMASK(h, l) ((2U << (h)) - (1U << (l)))\n"

# What KIND says of an expression. 8-bit numbers and characters are one kind, because C's "char"
# leaves their sign to the machine, and Python's c_char has none.
KIND = """
#define KIND(x) _Generic((x), char: 1, unsigned char: 1, signed char: 2, short: 2, int: 2, long: 2, \\
    long long: 2, unsigned short: 3, unsigned: 3, unsigned long: 3, unsigned long long: 3, \\
    default: 4 + __builtin_classify_type(x))
"""
KINDS = {1: "byte", 2: "signed", 3: "unsigned", 9: "pointer", 16: "struct", 17: "union"}


class CannotCompileError(Exception):
    """The compiler refused: the first line of what it said."""


@dataclass
class Member:
    name: str
    dimensions: int
    flexible: bool
    inner: list[Member] | None


@dataclass
class Declared:
    """What the headers declare, by name; each with the header it is in."""

    macros: dict[str, str] = field(default_factory=dict)
    guards: dict[str, str] = field(default_factory=dict)
    functions: dict[str, str] = field(default_factory=dict)
    enumerators: dict[str, str] = field(default_factory=dict)
    enums: dict[str, list[str]] = field(default_factory=dict)
    """Tag to enumerators, for those that have a tag."""
    records: dict[str, str] = field(default_factory=dict)
    members: dict[str, tuple[str, list[Member]]] = field(default_factory=dict)
    """Tag to "struct" or "union", and the members."""
    bodies: dict[str, str] = field(default_factory=dict)


@dataclass
class Compiler:
    """One ABI as one compiler sees it, with one set of headers."""

    flags: tuple[str, ...] = ()
    include: Path | None = VENDORED

    def run(self, source: str, *arguments: str) -> bytes:
        include = [f"-I{self.include}"] if self.include else []
        command = ["cc", "-x", "c", "-std=gnu11", "-w", *self.flags, *include, *arguments, "-"]
        done = subprocess.run(command, input=source.encode(), capture_output=True, check=False)
        if done.returncode:
            errors = [line for line in done.stderr.decode().splitlines() if "error" in line]
            raise CannotCompileError((errors or [done.stderr.decode()])[0])
        return done.stdout

    def headers(self) -> list[str]:
        """Those of the headers that are there: an older system lacks some."""
        if self.include:
            return list(HEADERS)
        return [name for name in HEADERS if Path("/usr/include/linux", name).exists()]

    def source(self) -> str:
        return PROLOGUE + "".join(f"#include <linux/{name}>\n" for name in self.headers())

    def declared(self) -> Declared:
        """Read what the headers declare out of the preprocessor's output."""
        found = Declared()
        code: dict[str, list[str]] = {}
        header = ""
        for line in self.run(self.source(), "-E", "-dD").decode().splitlines():
            if marker := re.match(r'# \d+ "([^"]*)"', line):
                path = Path(marker[1])
                header = path.name if path.parent.name == "linux" and path.name in HEADERS else ""
            elif not header:
                continue
            elif macro := re.match(r"#define (\w+)(\([^)]*\))?\s*(.*)", line):
                name, parameters, body = macro.groups()
                if parameters:
                    found.functions[name] = header
                elif body:
                    found.macros[name] = header
                    found.bodies[name] = body
                else:
                    found.guards[name] = header
            elif not line.startswith("#"):
                code.setdefault(header, []).append(line)
        for name, lines in code.items():
            _Reader(name, "\n".join(lines), found).read()
        return found

    def numbers(self, expressions: list[str]) -> list[int]:
        """What constant expressions are worth, as 64-bit patterns."""
        rows = ",\n".join(f"(unsigned long long)({expression})" for expression in expressions)
        source = (
            self.source()
            + KIND
            + '__attribute__((section("vb2abi"), used)) const unsigned long long table[] = {\n'
            + rows
            + "\n};\n"
        )
        with tempfile.TemporaryDirectory() as directory:
            object_file, binary = Path(directory, "abi.o"), Path(directory, "abi.bin")
            self.run(source, "-c", "-o", str(object_file))
            subprocess.run(
                ["objcopy", "-O", "binary", "--only-section=vb2abi", object_file, binary], check=True
            )
            data = binary.read_bytes()
        order = "<" if sys.byteorder == "little" else ">"
        return list(struct.unpack(f"{order}{len(expressions)}Q", data))

    def execute(self, expressions: list[str]) -> list[int]:
        """What expressions are worth when a program of this ABI runs them."""
        prints = "".join(f'    printf("%lld\\n", (long long)({expression}));\n' for expression in expressions)
        source = f"{self.source()}#include <stdio.h>\nint main(void)\n{{\n{prints}    return 0;\n}}\n"
        with tempfile.TemporaryDirectory() as directory:
            program = Path(directory, "abi")
            self.run(source, "-o", str(program))
            output = subprocess.run([program], check=True, capture_output=True, text=True).stdout
        return [int(line) for line in output.split()]


class _Reader:
    """Reads enums, structs, unions and inline functions out of preprocessed code."""

    def __init__(self, header: str, code: str, found: Declared) -> None:
        self.header = header
        self.found = found
        self.tokens: list[str] = re.findall(r"\w+|'[^']*'|\"[^\"]*\"|\S", re.sub(r"__extension__", "", code))
        self.at = 0

    def peek(self, ahead: int = 0) -> str:
        return self.tokens[self.at + ahead] if self.at + ahead < len(self.tokens) else ""

    def take(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1]

    def read(self) -> None:
        while self.at < len(self.tokens):
            token = self.take()
            if token in ("struct", "union"):
                tag = self.take() if self.peek() != "{" else ""
                if self.peek() == "{":
                    members = self.members()
                    self.found.records[tag] = self.header
                    self.found.members[tag] = (token, members)
            elif token == "enum":
                tag = self.take() if self.peek() != "{" else ""
                if self.peek() == "{":
                    self.enumerators(tag)
            elif token in ("inline", "__inline__"):
                while self.peek() != "(":
                    name = self.take()
                self.found.functions[name] = self.header
                while self.peek() != "{":
                    self.take()
                self.skip("{", "}")

    def skip(self, opening: str, closing: str) -> list[str]:
        """Past a bracket's partner; the tokens between."""
        assert self.take() == opening
        start, depth = self.at, 1
        while depth:
            token = self.take()
            depth += (token == opening) - (token == closing)
        return self.tokens[start : self.at - 1]

    def enumerators(self, tag: str) -> None:
        previous, depth = ",", 0
        for token in self.skip("{", "}"):
            depth += (token == "(") - (token == ")")
            if previous == "," and not depth:
                self.found.enumerators[token] = self.header
                if tag:
                    self.found.enums.setdefault(tag, []).append(token)
            previous = token

    def members(self) -> list[Member]:
        assert self.take() == "{"
        members: list[Member] = []
        while self.peek() != "}":
            inner: list[Member] | None = None
            tokens: list[str] = []
            while self.peek() != ";":
                token = self.take()
                if token == "__attribute__":
                    self.skip("(", ")")
                elif token in ("struct", "union", "enum"):
                    tag = self.take() if self.peek() != "{" else ""
                    if self.peek() == "{" and token == "enum":
                        self.enumerators(tag)
                    elif self.peek() == "{":
                        inner = self.members()
                    tokens.append(token)
                else:
                    tokens.append(token)
            self.take()
            members += self.declarators(tokens, inner)
        self.take()
        return members

    def declarators(self, tokens: list[str], inner: list[Member] | None) -> list[Member]:
        if inner is not None and len(tokens) == 1:
            return [Member("", 0, False, inner)]
        members, name, dimensions, flexible = [], "", 0, False
        for i, token in enumerate([*tokens, ","]):
            if token == ",":
                members.append(Member(name, dimensions, flexible, inner))
                name, dimensions, flexible = "", 0, False
            elif token == "[":
                dimensions += 1
                flexible = flexible or tokens[i + 1] == "]"
            elif token == ":":
                raise NotImplementedError(f"{self.header}: bit-field {name}")
            elif not dimensions and re.match(r"[A-Za-z_]", token):
                name = token
        return members


def paths(members: list[Member], prefix: str = "") -> list[tuple[str, Member]]:
    """Every member as C spells it from the struct: through unions and nested structs."""
    found = []
    for member in members:
        if member.name:
            found.append((prefix + member.name, member))
        if member.inner is not None and not member.dimensions:
            found += paths(member.inner, f"{prefix}{member.name}." if member.name else prefix)
        elif member.inner is not None:
            subscript = "[0]" * member.dimensions
            found += paths(member.inner, f"{prefix}{member.name}{subscript}.")
    return found


@dataclass
class Golden:
    """All that C says, ready to be compared: constant to (value, bytes); sizes; fields."""

    constants: dict[str, tuple[int, int]]
    strings: dict[str, str]
    sizes: dict[str, int]
    fields: dict[str, tuple[int, int, str]]
    """``struct.path`` to offset, size and kind."""
    declared: Declared


# Macros that name a struct, not a value.
TYPE_MACROS = {"v4l2_subdev_edid": "v4l2_edid"}


def golden(compiler: Compiler) -> Golden:
    """Ask the compiler everything at once."""
    declared = compiler.declared()
    strings = {name: body[1:-1] for name, body in declared.bodies.items() if body.startswith('"')}
    names = [
        *(name for name in declared.macros if name not in strings and name not in TYPE_MACROS),
        *declared.enumerators,
    ]
    expressions = []
    for name in names:
        expressions += [name, f"sizeof({name})"]
    tags = list(declared.members)
    expressions += [f"sizeof({declared.members[tag][0]} {tag})" for tag in tags]
    fields = []
    for tag in tags:
        kind, members = declared.members[tag]
        for path, member in paths(members):
            expression = f"(({kind} {tag} *)0)->{path}"
            fields.append(f"{tag}.{path}")
            expressions += [
                f"__builtin_offsetof({kind} {tag}, {path})",
                "0" if member.flexible else f"sizeof({expression})",
                f"KIND({expression}{'[0]' * member.dimensions})",
            ]
    numbers = iter(compiler.numbers(expressions))
    constants = {}
    for name in names:
        value, size = next(numbers), next(numbers)
        constants[name] = (value & ((1 << 8 * size) - 1), size)
    sizes = {tag: next(numbers) for tag in tags}
    values = {name: (next(numbers), next(numbers), KINDS[next(numbers)]) for name in fields}
    return Golden(constants, strings, sizes, values, declared)
