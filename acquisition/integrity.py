"""Check during a session that flips, wheel, frame clock and imaging pages agree."""

from collections import deque
from typing import Annotated

import msgspec

from acquisition.timing.frame_clock_alignment import (
    AlignedFrame,
    FrameClockAlignment,
    SavedPage,
)
from acquisition.timing.photodiode_check import PhotodiodeCheck
from rig.messages import Edge, Fault, Flip, Frame, Integrity, Message, Scan, Wheel
from rig.node import Node, Publish

_HOLD_NS = 20_000_000
"""Longest delay with which an edge arrives, ns: older edges have arrived when a Wheel arrives."""
_FASTEST_CM_S = 300.0
"""Speed above which the wheel has jumped, cm/s."""
_KEPT_WHEELS = 20_000
"""Number of recent Wheel messages that a flip can refer to."""


class IntegrityCheck(Node):
    """A decider that publishes an Integrity message for every imaging frame and every mismatch."""

    name = "integrity"
    subscribes = (Flip, Edge, Frame, Wheel, Scan, Fault)
    publishes = (Integrity,)
    max_batch_delay_s = 0.02
    reads_pixels = False
    max_lag_s = 3.0  # it only checks; no other process waits for it

    class Settings(Node.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """The line of the frame clock, and the limits beyond which a finding is published."""

        frame_clock: Annotated[str, msgspec.Meta(min_length=1)] = "frame_clock"
        late_ms: Annotated[float, msgspec.Meta(gt=0.0, le=1000.0)] = 10.0
        """Largest deviation of an edge from its frame's expected time, ms, or it is late or early.
        """
        pages_behind_s: Annotated[float, msgspec.Meta(gt=0.0, le=600.0)] = 5.0
        """Pages are behind if a scanned frame still has no page after this time, s."""
        stale_ms: Annotated[float, msgspec.Meta(gt=0.0, le=10_000.0)] = 500.0
        """Largest age of the wheel position that a flip shows, ms, or the flip is stale."""
        wheel_gap_ms: Annotated[float, msgspec.Meta(gt=0.0, le=10_000.0)] = 250.0
        """The wheel is silent after this time without a Wheel message, ms."""

        photodiode: str = ""
        """The line of the photodiode at the display's patch; empty if there is none."""
        drift_ms: Annotated[float, msgspec.Meta(gt=0.0, le=100.0)] = 6.0
        """Largest allowed difference of the delay from flip to light from its first value, ms."""

    settings: Settings

    def __init__(self, settings: Settings, publish: Publish) -> None:
        super().__init__(settings, publish)
        self._alignment = FrameClockAlignment(settings.late_ms)
        self._sound = True
        self._edges = self._pages = 0
        self._channel: int | None = None
        """The first saved channel. A frame has a page per channel, but only one edge."""
        self._wheel: Wheel | None = None
        self._wheel_times: deque[int] = deque()
        self._wheels: set[int] = set()
        self._flip: Flip | None = None
        self._behind = self._stale = False
        self._photodiode: PhotodiodeCheck | None = None
        if settings.photodiode:
            self._photodiode = PhotodiodeCheck(settings.photodiode, settings.drift_ms)

    def handle(self, message: Message) -> None:
        if self._photodiode is not None and isinstance(message, Edge):
            self._photodiode.edge(message)
        match message:
            case Wheel():
                self._check_wheel(message)
            case Edge(line=self.settings.frame_clock, up=True):
                self._edges += 1
                self._alignment.add_edge(message.t)
            case Frame():
                self._add_page(message)
            case Flip():
                self._check_flip(message)
            case Scan():
                header = message.header
                spare = header.get("averaged", 1) > 1 or header.get("flyback_frames", 0) > 0
                self._alignment.spare_edges = spare
            case Fault(finding="file lost"):
                self._find(message.t, ("file lost",), message.text)
            case _:
                pass

    def close(self) -> None:
        for frame in self._alignment.finish():
            self._publish_frame(frame)
        t = 0 if self._wheel is None else self._wheel.t
        differ = self._edges != self._pages and not self._alignment.spare_edges
        text = f"{self._edges} edges of the frame clock, {self._pages} pages"
        self._find(t, ("counts differ",) if differ else (), text)

    def _add_page(self, frame: Frame) -> None:
        if self._channel is None:
            self._channel = frame.channel
        if frame.channel != self._channel:
            return
        self._pages += 1
        number = frame.number or frame.index + 1
        tau = round(frame.timestamp_s * 1e9)
        self._alignment.add_page(SavedPage(number, tau, frame.index, frame.t))

    def _check_wheel(self, wheel: Wheel) -> None:
        """Compare a Wheel with the previous one; align frames up to its time."""
        before, self._wheel = self._wheel, wheel
        self._remember(wheel.t)
        if before is not None and wheel.t > before.t:
            gap_ms = (wheel.t - before.t) / 1e6
            cm_s = abs(wheel.cm - before.cm) / gap_ms * 1e3
            if gap_ms > self.settings.wheel_gap_ms:
                self._find(before.t, ("wheel silent",), f"no wheel reading for {gap_ms:.0f} ms")
            elif cm_s > _FASTEST_CM_S:
                self._find(wheel.t, ("wheel jumped",), f"the wheel moved at {cm_s:.0f} cm/s")
        for frame in self._alignment.align(wheel.t - _HOLD_NS):
            self._publish_frame(frame)
        self._check_pages(wheel.t)

    def _check_pages(self, now: int) -> None:
        since = self._alignment.waits_since
        behind_s = 0.0 if since is None else (now - since) / 1e9
        behind = behind_s > self.settings.pages_behind_s and not self._alignment.spare_edges
        if behind and not self._behind:
            self._find(now, ("pages behind",), f"no page for the frame of {behind_s:.1f} s ago")
        self._behind = behind

    def _remember(self, t: int) -> None:
        self._wheel_times.append(t)
        self._wheels.add(t)
        if len(self._wheel_times) > _KEPT_WHEELS:
            self._wheels.discard(self._wheel_times.popleft())

    def _check_flip(self, flip: Flip) -> None:
        """Compare a flip with the previous flip, and with the wheel position that it shows."""
        before, self._flip = self._flip, flip
        if before is not None and (flip.number != before.number + 1 or flip.t <= before.t):
            self._find(flip.t, ("flip lost",), f"flip {flip.number} follows flip {before.number}")
        if self._photodiode is not None and (found := self._photodiode.flip(flip)) is not None:
            self._find(flip.t, (found.name,), found.text)
            self.publish(Fault(flip.t, found.text))
        if not flip.wheel_t:
            return
        age_ms = (flip.t - flip.wheel_t) / 1e6
        stale = age_ms > self.settings.stale_ms
        if stale and not self._stale:
            text = f"flip {flip.number} shows a wheel position {age_ms:.0f} ms old"
            self._find(flip.t, ("picture stale",), text)
        elif not stale and flip.wheel_t not in self._wheels:
            text = f"flip {flip.number} shows a wheel position that was never published"
            self._find(flip.t, ("picture of no wheel",), text)
        self._stale = stale

    def _publish_frame(self, frame: AlignedFrame) -> None:
        prefix = f"frame {frame.number}: " if frame.number else ""
        text = prefix + ", ".join(frame.findings)
        if frame.step_ns:
            text += (
                f" (the times of ScanImage's frames step by {frame.step_ns / 1e9:+.3f} s; frames "
                "are matched to the frame clock again from here)"
            )
            self.publish(Fault(frame.t, text))
        self._find(frame.t, frame.findings, text, frame)

    def _find(
        self, t: int, findings: tuple[str, ...], text: str, frame: AlignedFrame | None = None
    ) -> None:
        """Publish findings at t (ns), or, for a frame without findings, that it is in order."""
        self._sound = self._sound and not findings
        self.publish(
            Integrity(
                t,
                0 if frame is None else frame.number,
                None if frame is None else frame.frame,
                frame is not None and frame.edge,
                findings,
                self._sound,
                self._edges,
                self._pages,
                text if findings or frame is None else "",
            )
        )


if __name__ == "__main__":
    from rig.process import run

    run(IntegrityCheck)
