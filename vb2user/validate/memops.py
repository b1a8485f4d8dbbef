"""Beside the layers: take one device through every memory type, with the kernel's calls from the trace.

It takes each memory type through its life (:mod:`vb2user.validate.steps`) under a tracer, and passes the
results to :mod:`vb2user.validate.results`. Without a tracer it does the same and reports what it could not
observe.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from vb2user.device.device import Device
from vb2user.errors import DeviceBusyError, DeviceRemovedError, KernelError, UsageError
from vb2user.memory.ops import ALLOCATORS, Op, implemented
from vb2user.memory.types import MEMORY_TYPES, queued
from vb2user.trace.queues import queue_types
from vb2user.uapi.buffer import is_output
from vb2user.uapi.enums import Cap
from vb2user.validate.lifecycle import live
from vb2user.validate.results import DeviceReport
from vb2user.validate.steps import FRAMES, Check, Fill, Life, Phase, Setting, no_phase

_FED = "a memory-to-memory node gives frames only while its OUTPUT queue is fed, which memops does not do"


@dataclass(frozen=True)
class Observed:
    """The kernel's calls during one life.

    Attributes:
        calls: of the device's own queue, by op.
        balanced: whether every reference was given back; None if the trace does not tell.
        outstanding: the references that were not given back, or given back twice, in words; only if balanced
            is False.
        blind: why the trace does not tell, if balanced is None: lost events, for example.
        remarks: limits of the evidence that do not invalidate it.
        phases: the calls of the device's own queue during each phase.
    """

    calls: dict[Op, int]
    balanced: bool | None
    outstanding: list[str] = field(default_factory=list)
    blind: str | None = None
    remarks: list[str] = field(default_factory=list)
    phases: dict[str, dict[Op, int]] = field(default_factory=dict)


class Observer(Protocol):
    """An observer of the kernel's calls."""

    @property
    def phase(self) -> Phase:
        """Return a context for a named span of time."""

    def take(self) -> Observed:
        """Return the calls since the last take()."""


@dataclass
class Plan:
    """The plan for examining a device.

    Attributes:
        check, fill, content, known_errors: see :class:`~vb2user.validate.steps.Setting`; content in words.
        heap: the only source for DMABUF (as :func:`~vb2user.memory.heaps.source` takes it). None: the heaps,
            the exporters and udmabuf are tried in this order, until the queue takes one.
        exporters: video nodes whose buffers may be exported; DMABUF into dma-contig needs one, or a CMA heap.
        frames: frames to move in each memory type.
    """

    check: Check | None = None
    fill: Fill | None = None
    content: str = ""
    known_errors: str | None = None
    heap: str | None = None
    exporters: Sequence[str] = ()
    frames: int = FRAMES


def columns(device: Device) -> list[str]:
    """The memory types that are worth trying: all of a streaming queue's, and read or write."""
    found = [t.name for t in queued().values()] if device.caps & Cap.STREAMING else []
    if device.readable:
        found.append("write" if is_output(device.type) else "read")
    return found


def examine(
    device: Device,
    plan: Plan | None = None,
    observer: Observer | None = None,
    known: Mapping[str, frozenset[str]] | None = None,
) -> DeviceReport:
    """Take every memory type of a device's queue through its life.

    Args:
        device: opened; its queue must be free, and is free afterwards.
        plan: how to examine the device.
        observer: counts the kernel's calls; None: the calls are not observed.
        known: what :func:`~vb2user.memory.ops.symbols` gave; None asks now, which takes a moment.

    Raises:
        UsageError: the device has no queue of video, touch or metadata.
        DeviceBusyError: another file handle owns its queue.
    """
    check_covered(device)
    plan = plan or Plan()
    name = _allocator(device)
    allocator = ALLOCATORS.get(name or "")
    report = DeviceReport(
        device.path,
        device.driver,
        device.card,
        device.type.name,
        name,
        implemented(allocator, known) if allocator else frozenset(Op),
        content=plan.content,
    )
    setting = Setting(
        device.node,
        device.get_format(),
        plan.check,
        plan.fill,
        observer.phase if observer else no_phase,
        frames=plan.frames,
        known_errors=plan.known_errors,
        no_frames=_FED if device.m2m else None,
        shared=name is None,
    )
    report.remarks += _limits(setting)
    if observer is not None:
        observer.take()  # drop the calls that finding the allocator caused
        report.calls = {}
    for column in columns(device):
        for life in _lives(setting, column, plan):
            _add(report, life, observer.take() if observer else None)
    return report


def check_covered(device: Device) -> None:
    """Refuse a node whose queues are not examined here, before anything is touched.

    Raises:
        UsageError: the node has no such queue; the hint names an alternative.
    """
    if device.capture_type is not None or device.output_type is not None:
        return
    what, hint = "it has no queue of buffers", None
    if queue_types(device):
        what = "its queue is of another kind"
        hint = f"'vb2user trace {device.path} -- COMMAND' watches it while COMMAND streams"
    raise UsageError(f"{device.path}: memops examines queues of video, touch and metadata; {what}", hint=hint)


def _limits(setting: Setting) -> list[str]:
    """Return the limits of the examination on this node, in words."""
    found = []
    if setting.no_frames is not None:
        found.append(f"no frame was moved, and the OUTPUT queue was not examined: {setting.no_frames}")
    if setting.shared and setting.check is not None:
        found.append(
            "whether MMAP frames were written anew is not judged: their memory may be another program's, too"
        )
    return found


def _allocator(device: Device) -> str | None:
    """Return the allocator's name; None if the node has no MMAP or no export, or an unknown exporter."""
    try:
        return device.allocator()
    except (DeviceBusyError, DeviceRemovedError):
        raise
    except KernelError:
        return None


def _lives(setting: Setting, column: str, plan: Plan) -> Iterator[Life]:
    """One memory type, with each memory there is until one is taken; the last life is the one that counts."""
    if column not in MEMORY_TYPES:  # write(2)
        yield live(setting, column)
        return
    for source, memory in MEMORY_TYPES[column].to_try(plan.heap, plan.exporters):
        life = live(setting, column, memory, source)
        yield life
        if not life.other_memory:
            return


def _add(report: DeviceReport, life: Life, observed: Observed | None) -> None:
    if observed is not None:
        _weigh(report, life, observed)
    if life.other_memory:
        report.refused.append(f"{life.column} with memory from {life.source}: {life.reason}")
    before = report.lives.get(life.column)
    if before is not None and before.steps and not life.steps:
        return  # the life with the most steps is the most useful
    report.lives[life.column] = life
    if observed is not None and report.calls is not None:
        report.calls[life.column] = observed.calls
        report.phases[life.column] = observed.phases


def _weigh(report: DeviceReport, life: Life, observed: Observed) -> None:
    """Add one life's references to the device's result. One leak, or one gap in the trace, decides."""
    report.outstanding += [f"{life.column}: {text}" for text in observed.outstanding]
    if life.steps:  # else REQBUFS refused the memory type, and there is nothing to remark
        report.remarks += [text for text in observed.remarks if text not in report.remarks]
    if observed.blind is not None:
        report.unobserved = report.unobserved or f"{life.column}: {observed.blind}"
    if observed.balanced is False:
        report.balanced = False
    elif observed.balanced and report.balanced is None and report.unobserved is None:
        report.balanced = True
    elif observed.balanced is None and report.balanced:
        report.balanced = None
