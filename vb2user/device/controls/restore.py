"""Layer 4: set many controls to given values, even if they depend on each other.

A control may be inactive until another one is set (gain, until automatic gain is off), and a control that is
set may change others. So this module works in rounds. A round sets every control that differs and can be set
now, in one request, so that the driver takes clusters together. Controls that change no others come first,
then those that do (``UPDATE``). The rounds end when every control has its value, or when a round changed
nothing. Inactive controls come last.

If the driver fails to tell a control, the report names it, and the others are still set.

Source: https://docs.kernel.org/userspace-api/media/v4l/control.html and extended-controls.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vb2user.device.controls.brief import brief
from vb2user.device.controls.control import Control
from vb2user.device.controls.convert import Value, to_python
from vb2user.errors import DeviceRemovedError, KernelError
from vb2user.text import printable
from vb2user.uapi.calls.controls import (
    ControlError,
    ControlInfo,
    ControlValue,
    g_ext_ctrls,
    pack_value,
    s_ext_ctrls,
    why_inactive,
)
from vb2user.uapi.enums import CtrlFlag, CtrlType
from vb2user.uapi.kernel import Fd

#: A chain of controls, each of which makes the next one active, is hardly longer.
_ROUNDS = 6
#: After so many attempts a control that still differs is left to the driver.
_TRIES = 3
_NOT_NOW = CtrlFlag.INACTIVE | CtrlFlag.GRABBED


@dataclass
class Restored:
    """The result for each value that was to be restored, by the controls' names.

    Attributes:
        set: were set, with the values that they have now.
        kept: had them already.
        skipped: cannot be set now, with a harmless reason: read-only, inactive, governed by the device.
        failed: should have been set and were not, and why.
    """

    set: dict[str, Value] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.failed

    def __str__(self) -> str:
        told = [f"{len(self.set)} set, {len(self.kept)} as they were"]
        told += [f"{name} skipped: {why}" for name, why in self.skipped.items()]
        told += [f"{name} NOT set: {why}" for name, why in self.failed.items()]
        return "\n".join(map(printable, told))


def is_setting(info: ControlInfo) -> bool:
    """Tell whether a control is a setting: not a button, not read-only, and not set by the device itself."""
    never = CtrlFlag.READ_ONLY | CtrlFlag.WRITE_ONLY | CtrlFlag.VOLATILE
    return info.type not in (CtrlType.BUTTON, CtrlType.CTRL_CLASS) and not info.flags & never


def bring_to(node: Fd, wanted: Mapping[Control, ControlValue], report: Restored | None = None) -> Restored:
    """Set controls until all have these values.

    Args:
        node: whose.
        wanted: the values, as the kernel takes them.
        report: to add to.

    DeviceRemovedError: the device was unplugged meanwhile. All other errors are in the report.
    """
    work = _Work(node, wanted)
    for _ in range(_ROUNDS):
        if not work.round():
            break
    work.last_try()
    return work.report(Restored() if report is None else report)


class _Work:
    def __init__(self, node: Fd, wanted: Mapping[Control, ControlValue]) -> None:
        self.node = node
        self.controls = {control.id: control for control in wanted}
        self.wanted = {control.id: value for control, value in wanted.items()}
        self.tries = dict.fromkeys(self.wanted, 0)
        self.taken: set[int] = set()
        self.errors: dict[int, str] = {}

    def round(self) -> bool:
        """Set the controls that differ and can be set now; tell whether any was set."""
        sent = False
        for loud in (False, True):
            ready = [
                info
                for info in self._different()
                if bool(info.flags & CtrlFlag.UPDATE) == loud and not info.flags & _NOT_NOW
            ]
            sent |= self._send(ready)
        return sent

    def last_try(self) -> None:
        """Set the inactive controls: most drivers keep such a value for later."""
        self._send([info for info in self._different() if info.flags & _NOT_NOW])

    def _different(self) -> list[ControlInfo]:
        """Return the controls that differ from their wanted value and have attempts left."""
        found = []
        for id in self.wanted:
            info = self._info(id)
            if info is None:
                continue
            never = CtrlFlag.READ_ONLY | (CtrlFlag.VOLATILE if info.flags & CtrlFlag.INACTIVE else 0)
            if info.flags & never or self.tries[id] >= _TRIES:
                continue
            now = self._now(info)
            # What was taken and cannot be read is not sent again: nothing would come of it.
            differs = id not in self.taken if isinstance(now, KernelError) else not self._is_so(info, now)
            if differs:
                found.append(info)
        return found

    def _info(self, id: int) -> ControlInfo | None:
        try:
            return self.controls[id].info
        except DeviceRemovedError:
            raise
        except KernelError as e:
            self.errors[id] = str(e)
            return None

    def _now(self, info: ControlInfo) -> ControlValue | KernelError:
        try:
            return g_ext_ctrls(self.node, [info])[0]
        except DeviceRemovedError:
            raise
        except KernelError as e:
            return e

    def _is_so(self, info: ControlInfo, now: ControlValue) -> bool:
        """Whether it has its value; a driver's True may be any number but 0."""
        return to_python(info, now) == to_python(info, self.wanted[info.id])

    def _send(self, infos: list[ControlInfo]) -> bool:
        """Set controls together, without those that the driver refuses; tell whether it took any."""
        left = []
        for info in infos:
            self.tries[info.id] += 1
            try:
                pack_value(info, self.wanted[info.id])
            except ValueError as e:
                self.errors[info.id] = str(e)
            else:
                left.append(info)
        while left:
            try:
                s_ext_ctrls(self.node, [(info, self.wanted[info.id]) for info in left])
            except DeviceRemovedError:
                raise
            except KernelError as e:
                if len(left) > 1 and not isinstance(e, ControlError):
                    # The driver does not say which one, so each is set by itself.
                    taken = [self._send_one(info) for info in left]
                    return any(taken)
                culprit = e.control if isinstance(e, ControlError) else left[0].id
                self.errors[culprit] = str(e)
                left = [info for info in left if info.id != culprit]
            else:
                for info in left:
                    self.taken.add(info.id)
                    self.errors.pop(info.id, None)
                return True
        return False

    def _send_one(self, info: ControlInfo) -> bool:
        self.tries[info.id] -= 1
        return self._send([info])

    def report(self, made: Restored) -> Restored:
        for id in self.wanted:
            self._report(id, made)
        return made

    def _report(self, id: int, made: Restored) -> None:
        name, value = self.controls[id].name, self.wanted[id]
        info = self._info(id)
        if info is None:
            made.failed[name] = self.errors[id]
            return
        now = self._now(info)
        if info.flags & CtrlFlag.READ_ONLY:
            made.skipped[name] = "it is read-only"
        elif isinstance(now, KernelError):
            if info.flags & CtrlFlag.WRITE_ONLY and id in self.taken:
                made.set[name] = to_python(info, value)
            elif id in self.taken:
                made.failed[name] = f"it was set, but its value cannot be read back: {now}"
            else:
                made.failed[name] = self.errors.get(id, str(now))
        elif self._is_so(info, now) and self.tries[id]:
            made.set[name] = to_python(info, value)
        elif self._is_so(info, now):
            made.kept.append(name)
        elif info.flags & CtrlFlag.INACTIVE:
            made.skipped[name] = "; ".join(filter(None, why_inactive(self.node, id)))
        elif id in self.errors:
            made.failed[name] = self.errors[id]
        elif info.flags & CtrlFlag.VOLATILE:
            made.skipped[name] = "the device changes it by itself"
        else:
            made.failed[name] = f"the driver made {brief(to_python(info, now))} of {brief(value)}"
