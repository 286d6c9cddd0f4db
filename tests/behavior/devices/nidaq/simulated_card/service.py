"""The simulated card behind NI's own gRPC service, as the unmodified nidaqmx client calls it."""

from itertools import count
from typing import Any

import session_pb2
from nidaqmx._stubs import nidaqmx_pb2 as pb
from nidaqmx.utils import unflatten_channel_string

from tests.behavior.devices.nidaq.simulated_card import names
from tests.behavior.devices.nidaq.simulated_card.signals import Signals
from tests.behavior.devices.nidaq.simulated_card.tasks import TIMED_OUT, DaqError, Task

FULL, SAMPLING, SMALL = "full", "sampling", "small"
"""An X series card; one with two counters, no change detection, no triggers, no watchdog; and one
whose lines have no clock either."""
_UNSUPPORTED = -200197
_TEXTS = {
    -88705: "The device is not there any more.",
    TIMED_OUT: "Some or all of the samples requested have not yet been acquired.",
}
"""NI's texts of the errors that tests provoke."""


def method(call: str) -> str:
    """Return the name of the service's method for a call."""
    return f"on_{call.lower()}"


class Service:
    """Carries out calls on tasks; reports errors as NI's server does.

    The method for a call such as CreateTask is on_createtask.
    """

    def __init__(self, signals: Signals, device: str, model: str) -> None:
        self.signals, self.device, self.model = signals, device, model
        self.tasks: dict[str, Task] = {}
        self._counters = 4 if model == FULL else 2
        self.fault: int | None = None
        """Error code with which calls fail, if set."""
        self.failing = ""
        """The call that fails then; "" for all."""
        self._held: dict[str, Task] = {}
        self._numbers = count()

    def handle(self, name: str, request: Any) -> Any:
        """Answer a call by name. Raises DaqError."""
        if self.fault is not None and self.failing in ("", name):
            raise DaqError(self.fault, _TEXTS[self.fault])
        answer = getattr(pb, f"{name}Response")
        made: dict[str, Any] | None = getattr(self, method(name))(request)
        return answer(**(made or {}))

    def reset(self) -> None:
        """Return to the state of a new card."""
        self.fault = None
        for task in self.tasks.values():
            task.clear()
        self.tasks.clear()

    def _task(self, request: Any) -> Task:
        task = self.tasks.get(request.task.name)
        if task is None:
            raise DaqError(-200088, "Task specified is invalid or does not exist.")
        return task

    def _name(self, path: str) -> str:
        return names.on_card(path, self.device, self._counters)

    def _names(self, paths: str) -> list[str]:
        return [self._name(path) for path in unflatten_channel_string(paths)]

    # -- tasks -------------------------------------------------------------------------------------

    def on_getsysteminfoattributeuint32(self, q: Any) -> dict[str, Any]:
        return {"value": {0x1272: 25, 0x1923: 5}.get(q.attribute_raw or q.attribute, 0)}

    def on_createtask(self, q: Any) -> dict[str, Any]:
        return self._new(q, "")

    def _new(self, q: Any, kind: str) -> dict[str, Any]:
        name = q.session_name or f"unnamed {next(self._numbers)}"
        is_new = name not in self.tasks
        if not is_new and q.initialization_behavior == 1:
            raise DaqError(-200089, "Task name conflicts with an existing task name.")
        if is_new:
            self.tasks[name] = Task(self.signals, self._held, name)
            self.tasks[name].kind = kind
        return {"task": session_pb2.Session(name=name), "new_session_initialized": is_new}

    def on_cleartask(self, q: Any) -> None:
        self._task(q).clear()
        del self.tasks[q.task.name]

    def on_starttask(self, q: Any) -> None:
        self._task(q).start()

    def on_stoptask(self, q: Any) -> None:
        self._task(q).stop()

    def on_taskcontrol(self, q: Any) -> None:
        self._task(q).reserve()

    def on_gettaskattributestring(self, q: Any) -> dict[str, Any]:
        return {"value": q.task.name}

    # -- channels ----------------------------------------------------------------------------------

    def _channel(self, q: Any, kind: str, held: list[str], **settings: Any) -> Task:
        task = self._task(q)
        task.kind, task.resources, task.channel = kind, list(held), held[0]
        task.settings.update(settings)
        return task

    def on_createdichan(self, q: Any) -> None:
        lines = self._names(q.lines)
        self._channel(q, "inputs", lines, lines=lines)

    def on_createdochan(self, q: Any) -> None:
        self._channel(q, "output", self._names(q.lines))

    def on_createcicountedgeschan(self, q: Any) -> None:
        counters = self._names(q.counter)
        self._channel(q, "edges", counters, source=names.IN[counters[0]])

    def on_createcilinencoderchan(self, q: Any) -> None:
        assert q.decoding_type_raw == 10092 or q.decoding_type == 10092  # X4
        self._channel(q, "encoder", self._names(q.counter))

    def on_createcopulsechantime(self, q: Any) -> None:
        counters = self._names(q.counter)
        task = self._channel(q, "pulse", counters, high_s=q.high_time)
        task.channel = names.as_port(names.OUT[counters[0]])

    def on_setchanattributestring(self, q: Any) -> None:
        task, name = self._task(q), self._name(q.value)
        match q.attribute_raw or q.attribute:
            case 0x18C7:
                task.settings["source"] = name
            case 0x18E1:
                task.channel = names.as_port(name)
            case 0x219D | 0x219E:
                pass
            case other:
                raise DaqError(_UNSUPPORTED, f"channel attribute {other:#x} is not simulated")

    def on_setchanattributedouble(self, q: Any) -> None:
        assert (q.attribute_raw or q.attribute) == 0x18BA
        self._task(q).settings["high_s"] = q.value

    def on_getchanattributeint32(self, q: Any) -> dict[str, Any]:
        kinds = {"inputs": 10151, "output": 10153, "edges": 10131, "encoder": 10131}
        return {"value_raw": kinds.get(self._task(q).kind, 10132)}

    def on_getchanattributeuint32(self, q: Any) -> dict[str, Any]:
        assert (q.attribute_raw or q.attribute) == 0x148
        return {"value": self._task(q).count()}

    # -- timing and triggers -----------------------------------------------------------------------

    def on_cfgchangedetectiontiming(self, q: Any) -> None:
        if self.model != FULL:
            raise DaqError(-201020, "Change detection is not supported on the selected line.")
        self._task(q).settings["changing"] = self._names(q.rising_edge_chan)

    def on_cfgsampclktiming(self, q: Any) -> None:
        task = self._task(q)
        if task.kind != "inputs":
            task.settings["clock"] = self._name(q.source)
            return
        if self.model == SMALL:
            raise DaqError(-201062, "Buffered operations are not supported on the selected lines.")
        task.settings["hz"], task.capacity = q.rate, q.samps_per_chan

    def on_cfgimplicittiming(self, q: Any) -> None:
        assert q.samps_per_chan == 1
        assert (q.sample_mode_raw or q.sample_mode) == 10178  # finite

    def on_cfgdigedgestarttrig(self, q: Any) -> None:
        if self.model != FULL:
            raise DaqError(_UNSUPPORTED, "Specified property is not supported by the device.")
        self._task(q).settings["trigger"] = self._name(q.trigger_source)

    def on_disablestarttrig(self, q: Any) -> None:
        self._task(q).settings.pop("trigger", None)

    # -- data --------------------------------------------------------------------------------------

    def on_getreadattributeuint32(self, q: Any) -> dict[str, Any]:
        task = self._task(q)
        waiting = {0x1223: task.waiting(), 0x217C: 1, 0x217B: 1}
        return {"value": waiting[q.attribute_raw or q.attribute]}

    def on_getreadattributeuint64(self, q: Any) -> dict[str, Any]:
        assert (q.attribute_raw or q.attribute) == 0x192A
        return {"value": self._task(q).sampled()}

    def on_getreadattributebool(self, q: Any) -> dict[str, Any]:
        return {"value": self._task(q).overflowed}

    def on_readdigitalscalaru32(self, q: Any) -> dict[str, Any]:
        self._task(q).reserve()
        return {"value": self._task(q).message()}

    def on_readdigitalu32(self, q: Any) -> dict[str, Any]:
        return self._samples(q)

    def on_readcounteru32ex(self, q: Any) -> dict[str, Any]:
        return self._samples(q)

    def _samples(self, q: Any) -> dict[str, Any]:
        got, status = self._task(q).take(q.num_samps_per_chan, q.timeout)
        return {"read_array": got, "samps_per_chan_read": len(got), "status": status}

    def on_readcounterscalaru32(self, q: Any) -> dict[str, Any]:
        return {"value": self._task(q).count()}

    def on_readcounterscalarf64(self, q: Any) -> dict[str, Any]:
        return {"value": float(self._task(q).count())}

    def on_writedigitallines(self, q: Any) -> dict[str, Any]:
        self.signals.drive(self._task(q).channel, bool(q.write_array[-1]))
        return {"samps_per_chan_written": 1}

    # -- the watchdog ------------------------------------------------------------------------------

    def on_createwatchdogtimertaskex(self, q: Any) -> dict[str, Any]:
        if self.model != FULL:
            raise DaqError(-200662, "The device has no watchdog timer.")
        self._name(f"{q.device_name}/ctr0")
        made = self._new(q, "watchdog")
        self.tasks[made["task"].name].settings["timeout_s"] = q.timeout
        return made

    def on_cfgwatchdogdoexpirstates(self, q: Any) -> None:
        self._task(q).settings["lines"] = self._names(q.channel_names)

    def on_controlwatchdogtask(self, q: Any) -> None:
        self._task(q).pet()
