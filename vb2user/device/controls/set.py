"""Layer 4: all controls of a device: ``cam.controls``.

Source: https://docs.kernel.org/userspace-api/media/v4l/extended-controls.html
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

from vb2user.device.controls.control import Control, NodeOwner, default_of
from vb2user.device.controls.convert import Value, to_kernel, to_python
from vb2user.device.controls.lookup import Index, broken_name, failure, missing, pick
from vb2user.device.controls.restore import Restored, bring_to, is_setting
from vb2user.device.controls.show import html_table, one_line, word
from vb2user.errors import DeviceRemovedError, KernelError, UsageError, Vb2Error
from vb2user.uapi.calls.controls import (
    ControlError,
    ControlInfo,
    ControlValue,
    s_ext_ctrls,
)
from vb2user.uapi.kernel import Fd

if TYPE_CHECKING:
    from vb2user.device.events import ControlEvent, DeviceEvent, Events, What


class ControlDevice(NodeOwner, Protocol):
    """A device as its controls need it, which :class:`~vb2user.device.device.Device` is."""

    control_index: Index | None

    @property
    def path(self) -> str:
        """The path it was opened by."""

    @property
    def driver(self) -> str:
        """The driver's name."""

    @property
    def card(self) -> str:
        """The device's name."""

    def events(self, *what: What, initial: bool = False, timeout: float | None = None) -> Events[DeviceEvent]:
        """Subscribe to events."""


class Controls:
    """The controls of a device, by attribute, name or id.

        cam.controls.brightness = 64
        cam.controls["OSD Text Mode"] = "None"
        cam.controls.set(brightness=64, contrast=20)
        print(cam.controls.brightness)          # value, range, step, default, flags
        print(cam.controls.brightness.value)

    A control whose name is that of a method here (or begins with a digit) is reached as an item:
    ``cam.controls["reset"]``. Iterating yields :class:`~vb2user.device.controls.control.Control`
    objects by their ids.
    """

    _device: ControlDevice

    def __init__(self, device: ControlDevice) -> None:
        # Into __dict__, since an assignment to an attribute sets a control.
        self.__dict__["_device"] = device

    # -- which there are ----------------------------------------------------------------------------

    @property
    def node(self) -> Fd:
        """The device's file descriptor."""
        return self._device.node

    def _index(self, *, anew: bool = False) -> Index:
        """The device's controls. They are queried once, and again after a reconnect to another node."""
        found = self._device.control_index
        if anew or found is None or found.node is not self._device.node:
            self._device.control_index = found = Index.of(self._device.node)
        return found

    def _made(self, index: Index, info: ControlInfo) -> Control:
        return Control(self._device, info, index.names[info.id], index.menus)

    def __getitem__(self, which: int | str) -> Control:
        for anew in (False, True):  # drivers may add controls, e.g. with a format
            index = self._index(anew=anew)
            info = index.by_name.get(which) if isinstance(which, str) else None
            info = info or pick(index.infos, which)
            if info is not None:
                return self._made(index, info)
        if (error := failure(index.failed, which)) is not None:
            raise error
        raise missing(self._device.path, which, self.names())

    def __setitem__(self, which: int | str, value: Any) -> None:
        self[which].set(value)

    def __getattr__(self, name: str) -> Control:
        if name.startswith("_"):  # what Python and notebooks look for, not a control
            raise AttributeError(name)
        return self[name]

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_") or hasattr(type(self), name):
            raise AttributeError(f"{name!r} is not a control", name=name, obj=self)
        self[name].set(value)

    def names(self) -> list[str]:
        """Return the names of the controls."""
        return list(self._index().names.values())

    def __iter__(self) -> Iterator[Control]:
        index = self._index()
        return iter([self._made(index, info) for info in index.infos])

    def __len__(self) -> int:
        return len(self._index().infos)

    def __contains__(self, which: object) -> bool:
        if not isinstance(which, (int, str)):
            return False
        try:
            self[which]
        except (UsageError, ControlError):
            return False
        return True

    @property
    def broken(self) -> dict[str, KernelError]:
        """The controls that the driver fails to describe, by the kernel's names for them, with the errors.

        They are not among the others, and to use one raises that error.
        """
        return {broken_name(id): error for id, error in self._index().failed.items()}

    def __dir__(self) -> list[str]:
        try:
            names = [name for name in self.names() if name.isidentifier()]
        except Vb2Error:  # closed, or gone: its methods are left
            names = []
        return sorted({*super().__dir__(), *names})

    def _ipython_key_completions_(self) -> list[str]:
        return self.names()

    # -- values -------------------------------------------------------------------------------------

    def get(self, *which: int | str) -> dict[str, Value]:
        """Return the values of these controls, or of all that can be read, by their names."""
        if which:
            chosen = [self[one] for one in which]
            return {control.name: control.value for control in chosen}
        looks = [control.look() for control in self]
        return {look.name: look.value for look in looks if look.value is not None}

    def set(self, values: Mapping[int | str, Any] | None = None, /, **named: Any) -> dict[str, Value]:
        """Set several controls in one request (``VIDIOC_S_EXT_CTRLS``), in the order given.

        The driver takes clusters together, and checks all before it sets any (but texts, see
        :class:`~vb2user.uapi.calls.controls.ControlError`).

        Args:
            values: by name or id.
            named: by name.

        Returns:
            What the driver took, by name.

        Raises:
            UsageError: the device has no such control, or the control does not take the value. Nothing was
                set.
            ControlError: the driver refuses one: ``control_name`` says which, and ``errno`` why.
        """
        wanted: dict[int, tuple[Control, ControlInfo, ControlValue]] = {}
        for which, value in [*(values or {}).items(), *named.items()]:
            control = self[which]
            info = control.info
            wanted[control.id] = control, info, to_kernel(info, control.items, value)
        if not wanted:
            return {}
        taken = s_ext_ctrls(self.node, [(info, value) for _, info, value in wanted.values()])
        return {
            control.name: to_python(info, value)
            for (control, info, _), value in zip(wanted.values(), taken, strict=True)
        }

    def reset(self, *which: int | str) -> Restored:
        """Set the defaults of these controls, or of all, in an order that works.

        Read-only controls and buttons have no default. Return the report; refusals are in it and do not
        raise.
        """
        report = Restored()
        if not which:
            report.failed |= {name: str(error) for name, error in self.broken.items()}
        chosen = [] if which else list(self)
        for one in which:
            try:
                chosen.append(self[one])
            except ControlError as e:
                report.failed[str(one)] = str(e)
        wanted: dict[Control, ControlValue] = {}
        for control in chosen:
            try:
                info = control.info
                if is_setting(info):
                    wanted[control] = default_of(self.node, info)
                elif which:
                    report.skipped[control.name] = "it is a button, read-only, or governed by the device"
            except DeviceRemovedError:
                raise
            except KernelError as e:
                report.failed[control.name] = str(e)
        return bring_to(self.node, wanted, report)

    # -- events and files ---------------------------------------------------------------------------

    def events(
        self, *which: int | str, initial: bool = False, timeout: float | None = None
    ) -> Events[ControlEvent]:
        """Iterate over changes of these controls, or of all, by any program. Works with ``async for``, too.

        Args:
            which: by name or id.
            initial: tell the present values first.
            timeout: seconds to wait for each event; None: no limit.

        Returns:
            :class:`~vb2user.device.events.Events` of :class:`~vb2user.device.events.ControlEvent`.
        """
        from vb2user.uapi.enums import EventType

        chosen = [self[one].id for one in which] or [control.id for control in self]
        whats = [(EventType.CTRL, id) for id in chosen]
        return cast("Events[ControlEvent]", self._device.events(*whats, initial=initial, timeout=timeout))

    def save(self, path: str | os.PathLike[str]) -> dict[str, str]:
        """Write all settings among the controls to a file, ``.toml`` or ``.json``.

        Left out are buttons, read-only and write-only controls, and what the device changes by itself.

        Returns:
            The other controls that were left out, by name: those that the driver fails to tell, with the
            reasons.
        """
        from vb2user.device.controls.file import save

        return save(self, path, driver=self._device.driver, card=self._device.card)

    def restore(self, path: str | os.PathLike[str]) -> Restored:
        """Set the values that :meth:`save` has written, in an order that respects their dependencies.

        Returns:
            What was set, what was skipped or failed, and why. Refusals do not raise: look at ``ok``.

        UsageError: the file has no settings.
        """
        from vb2user.device.controls.file import restore

        return restore(self, path)

    # -- to look at ---------------------------------------------------------------------------------

    def __repr__(self) -> str:
        try:
            lines = [one_line(control.look()) for control in self]
            lines += [f"{name}: cannot be queried ({word(error)})" for name, error in self.broken.items()]
        except Vb2Error as e:
            return f"<Controls of {self._device.path}: {e}>"
        return "\n  ".join([f"<Controls of {self._device.path}: {len(self)}", *lines]) + ">"

    def _repr_html_(self) -> str:
        return html_table((control.look() for control in self), self.broken)
