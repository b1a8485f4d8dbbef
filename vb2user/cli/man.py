"""Layer 8: man pages, one for each command, made from click's help data.

``python -m vb2user.cli.man FOLDER`` writes them; a wheel has them in ``share/man/man1``. This module knows
roff, and only click's data about the commands.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import click

_STATUS = """\
0 done, 1 a failure or a fault (a kernel error, bad frames, a leak), 2 wrong usage. 3: no such device, no \
permission or a missing prerequisite. 130 interrupted, 141 the reader of the output left, 143 terminated. \
A command that runs another one ends with that one's."""
_ENVIRONMENT = (
    ("NO_COLOR", "If it is set and not empty, no colours, on a terminal either."),
    ("FORCE_COLOR", "If it is set and not empty, colours where no terminal is, either."),
)


def pages(command: click.Command, name: str, release: str) -> dict[str, str]:
    """Return the pages by file name: ``vb2user.1``, ``vb2user-capture.1``, ``vb2user-vm-run.1``, …

    Args:
        command: the outermost command.
        name: what it is called.
        release: the version that stands at the foot of each page.
    """
    return {
        f"{_file_name(ctx)}.1": "\n".join(_page(ctx, release)) + "\n"
        for ctx in _contexts(command, name, None)
    }


def _contexts(command: click.Command, name: str, parent: click.Context | None) -> Iterator[click.Context]:
    ctx = click.Context(command, parent, name, **command.context_settings)
    yield ctx
    for sub_name, sub in _subcommands(ctx):
        yield from _contexts(sub, sub_name, ctx)


def _subcommands(ctx: click.Context) -> list[tuple[str, click.Command]]:
    if not isinstance(ctx.command, click.Group):
        return []
    found = [(name, ctx.command.get_command(ctx, name)) for name in ctx.command.list_commands(ctx)]
    return [(name, sub) for name, sub in found if sub is not None and not sub.hidden]


def _path(ctx: click.Context) -> list[str]:
    """Return the words of a command; click's command_path has the parents' arguments, too."""
    return [*(_path(ctx.parent) if ctx.parent else ()), str(ctx.info_name)]


def _file_name(ctx: click.Context) -> str:
    return "-".join(_path(ctx))


def _page(ctx: click.Context, release: str) -> Iterator[str]:
    name = _file_name(ctx)
    yield f'.TH "{_escape(name.upper())}" "1" "" "vb2user {_escape(release)}" "vb2user"'
    yield from (".SH NAME", f"{_escape(name)} \\- {_escape(_summary(ctx.command))}")
    yield from (".SH SYNOPSIS", f"\\fB{_escape(' '.join(_path(ctx)))}\\fR")
    yield _text(" ".join(ctx.command.collect_usage_pieces(ctx)))
    yield from (".SH DESCRIPTION", *_paragraphs(ctx.command.help or ""))
    yield from _options(ctx)
    yield from _commands(ctx)
    yield from (".SH EXIT STATUS", _text(_STATUS))
    yield ".SH ENVIRONMENT"
    for variable, meaning in (*_variables(ctx), *_ENVIRONMENT):
        yield from (".TP", f"\\fB{_escape(variable)}\\fR", _text(meaning))
    yield from _see_also(ctx)


def _summary(command: click.Command) -> str:
    return command.get_short_help_str(limit=200).rstrip(".")


def _paragraphs(help: str) -> Iterator[str]:
    for number, paragraph in enumerate(inspect.cleandoc(help).partition("\f")[0].split("\n\n")):
        if number:
            yield ".PP"
        if paragraph.startswith("\b\n"):  # click's mark of lines that stay as they are
            yield from (".nf", *map(_text, paragraph.splitlines()[1:]), ".fi")
        else:
            yield from map(_text, paragraph.splitlines())


def _options(ctx: click.Context) -> Iterator[str]:
    records = [r for p in ctx.command.get_params(ctx) if (r := p.get_help_record(ctx)) is not None and r[1]]
    if records:
        yield ".SH OPTIONS"
    for option, meaning in records:
        yield from (".TP", f"\\fB{_escape(option)}\\fR", _text(" ".join(meaning.split())))


def _commands(ctx: click.Context) -> Iterator[str]:
    subcommands = _subcommands(ctx)
    if subcommands:
        yield ".SH COMMANDS"
    for name, sub in subcommands:
        yield from (".TP", f"\\fB{_escape(_file_name(ctx))}\\-{_escape(name)}\\fR(1)", _text(_summary(sub)))


def _variables(ctx: click.Context) -> Iterator[tuple[str, str]]:
    for param in ctx.command.params:
        if isinstance(param, click.Option) and isinstance(param.envvar, str):
            yield param.envvar, f"What {param.opts[0]} has if it is not given."


def _see_also(ctx: click.Context) -> Iterator[str]:
    around = _subcommands(ctx.parent) if ctx.parent else []
    names = [f"{_file_name(ctx.parent)}-{n}" for n, _ in around if n != ctx.info_name] if ctx.parent else []
    names = ([_file_name(ctx.parent)] if ctx.parent else []) + names
    if names:
        yield ".SH SEE ALSO"
        yield ",\n".join(f"\\fB{_escape(n)}\\fR(1)" for n in names)


def _escape(text: str) -> str:
    """Escape the characters that roff interprets or replaces."""
    special = {"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti", '"': "\\(dq"}
    special |= {"…": "\\&..."}
    return "".join(special.get(c, c) for c in text)


def _text(line: str) -> str:
    """Return one line of text.

    A full stop at its beginning is escaped, because it would make a roff request.
    """
    escaped = _escape(line)
    return f"\\&{escaped}" if escaped.startswith(".") else escaped


def write(folder: Path, release: str) -> list[Path]:
    """Write every page of ``vb2user`` into ``folder``; returns their paths."""
    from vb2user.cli.main import cli

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, page in pages(cli, "vb2user", release).items():
        (folder / name).write_text(page, encoding="utf-8")
        written.append(folder / name)
    return written


if __name__ == "__main__":
    for path in write(Path(sys.argv[1]), version("vb2user")):
        print(path)
