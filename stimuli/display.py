"""The display process: shows the corridor at the mouse's position and publishes every flip."""

import gc
import time
from contextlib import ExitStack
from statistics import median
from typing import Annotated, Any, Literal

import msgspec

from rig.errors import Refused
from rig.messages import (
    Cue,
    CueOnset,
    Flip,
    Message,
    Position,
    Start,
    TextureHashes,
    TrialEnd,
    TrialStart,
)
from rig.node import Node, Publish
from rig.settings import device_factory
from stimuli.opengl.shaders import MAX_SCREENS
from stimuli.photodiode.patch_code import encode
from stimuli.scene.corridor_geometry import CorridorGeometry, Lap, Laps, check_corridor
from stimuli.scene.flip_scheduler import FlipScheduler
from stimuli.scene.open_loop import (
    Bar,
    Bars,
    FieldOfView,
    Image,
    field_of_view,
    open_loop_stimulus,
)
from stimuli.scene.screen import RenderSetup, Scene, Screen
from stimuli.scene.task_stimuli import TaskStimuli, task_stimuli
from stimuli.screens.screen_geometry import THREE_VIEWS, View, Warp, check_views, load_screens
from stimuli.screens.screen_overlap import check_overlap
from stimuli.sound.cue_sound import CuePlayer, Speaker
from stimuli.textures.cache import load_textures, sha256
from stimuli.textures.names import STIMULI, Texture, check_names
from stimuli.textures.photographs import load_images

_TEST_FLIPS = 60
"""Number of flips over which the refresh rate of a screen is measured."""
_REFRESH_TOLERANCE = 0.02
"""Largest relative difference between the measured refresh rate and refresh_hz."""


class Display(Node):
    """A driver that shows one frame per refresh, at the position of the newest Position message."""

    name = "display"
    subscribes = (Start, Position, TrialStart, TrialEnd, Cue)
    publishes = (Flip, TextureHashes, CueOnset)
    period_s = 1 / 60
    max_batch_delay_s = 0.004
    rank = 1  # drawing in software takes up to half of each frame, and the wheel must not wait

    class Settings(Node.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """The screens around the mouse, the corridor's cross-section, and the timing of flips."""

        screen: dict[str, Any]
        """The class of the screen (`is`), and its settings."""
        sound: dict[str, Any] | None = None
        """The class of the speaker (`is`) and its settings; None if another device is used."""
        refresh_hz: Annotated[float, msgspec.Meta(ge=10.0, le=500.0)] = 60.0
        paced: Literal["software", "vblank"] = "software"
        """What sets the time of a flip: our own clock, or the screen's vertical sync."""
        views: dict[str, View] = msgspec.field(default_factory=dict)
        """Flat screens by name, from left to right; three if there is no view and no warp."""
        warps: dict[str, Warp] = msgspec.field(default_factory=dict)
        """Curved or projected screens by name."""
        corridor: CorridorGeometry = CorridorGeometry()
        bars: Bars = Bars()
        extrapolate: bool = False
        """True to show the position expected in the middle of the frame, from the recent speed."""

    settings: Settings

    def __init__(self, settings: Settings, publish: Publish) -> None:
        if not settings.views and not settings.warps:
            settings = msgspec.structs.replace(settings, views=THREE_VIEWS)
        super().__init__(settings, publish)
        check_corridor(settings.corridor)
        check_views(settings.views)
        planes = plane_textures(settings.corridor)
        check_names(planes, STIMULI, "[nodes.display.corridor] floor and ceiling")
        if len(settings.views) + len(settings.warps) > MAX_SCREENS:
            raise Refused(
                f"[nodes.display] has more than {MAX_SCREENS} views and warps; remove some"
            )
        self.screen: Screen = device_factory.make(settings.screen, "[nodes.display.screen]")
        self._cues: CuePlayer | None = None
        if settings.sound is not None:
            speaker: Speaker = device_factory.make(settings.sound, "[nodes.display.sound]")
            self._cues = CuePlayer(speaker, publish)
        self._vblank = settings.paced == "vblank"
        self.period_s = 1 / settings.refresh_hz
        self._scheduler = FlipScheduler(settings.refresh_hz, self._vblank)
        self._stimuli = TaskStimuli()
        self._textures: dict[str, Texture] = {}
        self._images: dict[str, Texture] = {}
        self._field: FieldOfView | None = None
        self._flip_number = 0
        self._cpu_ns = 0
        """CPU time of this thread at the last flip, ns."""
        self._trial: TrialStart | None = None
        self._last_trial = -1
        """The number of the last trial that has begun."""
        self._trial_behind: TrialStart | None = None
        """The previous trial, if its corridor was completed."""
        self._laps: Laps | None = None
        self._open_loop: Image | Bar | None = None
        self._position: Position | None = None
        self._drawn: Position | None = None
        """The position at which the last frame was drawn."""

    def check(self, task: dict[str, Any]) -> None:
        self._stimuli = task_stimuli(task)

    def open(self) -> None:
        corridor, stimuli = self.settings.corridor, self._stimuli
        screens = load_screens(self.settings.views, self.settings.warps)
        check_overlap(screens)
        self._field = field_of_view(screens)
        names = [*stimuli.walls, *plane_textures(corridor)]
        self._textures = load_textures(names, stimuli.photographs)
        self._images = load_images(stimuli.images, self._field.width_over_height)
        if self._cues is not None:
            self._cues.open(self.clock.now, self.real_animal)
        self.screen.open(RenderSetup(screens, corridor, self._textures, self._vblank, self._images))
        self._check_refresh()
        encode(0)  # computes the tables of the code now, as the first frame cannot wait for them
        gc.disable()  # a collection would delay a flip, and the loop creates no cycles

    def handle(self, message: Message) -> None:
        if self._cues is not None:
            self._cues.handle(message)
        match message:
            case Start():
                textures = {**self._textures, **self._images}
                hashes = {name: sha256(texture) for name, texture in textures.items()}
                self.publish(TextureHashes(message.t, hashes))
            case TrialStart():
                self._trial, self._last_trial = message, message.trial
            case TrialEnd():
                completed = message.outcome == "done"
                self._trial_behind, self._trial = self._trial if completed else None, None
            case Position():
                self._set_position(message)

    def tick(self, now: int) -> None:
        position = self._position
        position_m, wheel_t = (0.0, 0) if position is None else (position.position_m, position.t)
        if self.settings.extrapolate and position is not None:
            position_m += self._extrapolated_m(position)
        bright = encode(self._flip_number)
        self.screen.draw(Scene(self._laps, position_m, bright, self._open_loop))
        self._drawn = position
        drawn_t = self.clock.now()
        self._scheduler.record_drawing(drawn_t - now)
        self.screen.wait(self._scheduler.wait_ns(drawn_t))
        before_swap_t = self.clock.now()
        self.screen.flip()
        t = self.clock.now()
        timing, cpu_ns = self._scheduler.record_flip(t), time.thread_time_ns()
        self.publish(
            Flip(
                t=t,
                number=self._flip_number,
                position_m=position_m,
                wheel_t=wheel_t,
                before_swap_t=before_swap_t,
                late=timing.late,
                dropped=timing.dropped,
                bright=bright,
                vblank=self._vblank,
                loop_ms=(cpu_ns - self._cpu_ns) / 1e6 if self._flip_number else 0.0,
                draw_t=now,
            )
        )
        self._flip_number, self._cpu_ns = self._flip_number + 1, cpu_ns
        if self._cues is not None:
            self._cues.tick(t)

    def next_due(self, due: int, now: int) -> int:
        return self._scheduler.draw_due()

    def close(self) -> None:
        gc.enable()
        with ExitStack() as stack:  # close the screen even if the speaker fails to close
            stack.callback(self.screen.close)
            if self._cues is not None:
                self._cues.close()

    def _extrapolated_m(self, position: Position) -> float:
        """Return the distance (m) that the mouse will move until the middle of the next frame.

        The speed is that between the last two drawn positions. The result is never negative, and
        never reaches beyond the end of the corridor.
        """
        before, flip_due = self._drawn, self._scheduler.flip_due
        if before is None or flip_due is None or before.trial != position.trial:
            return 0.0
        if not position.moving or self._trial is None or position.t <= before.t:
            return 0.0
        speed = (position.position_m - before.position_m) / (position.t - before.t)
        ahead = speed * (flip_due + self._scheduler.period_ns // 2 - position.t)
        return max(0.0, min(ahead, _lap(self._trial).length_m - position.position_m))

    def _set_position(self, position: Position) -> None:
        """Store a position; ignore it if the TrialStart of its trial has not arrived."""
        if position.trial > self._last_trial:
            return
        self._position = position
        self._laps = self._open_loop = None
        if position.trial < 0:
            self._trial_behind = None
        elif self._trial is not None and position.phase == "corridor":
            self._laps = self._laps_around(self._trial)
        elif self._trial is not None and self._field is not None:
            bars = self.settings.bars
            self._open_loop = open_loop_stimulus(self._trial, position, bars, self._field)

    def _laps_around(self, trial: TrialStart) -> Laps:
        here = _lap(trial)
        last = self._trial_behind
        if last is not None and last.picture == "corridor":
            behind = _lap(last)
        else:
            behind = Lap(None, trial.texture_m, trial.grey_m)
        return behind, here, Lap(trial.next_stimulus, trial.texture_m, trial.grey_m)

    def _check_refresh(self) -> None:
        """Measure the refresh rate of the screen. Raises Refused if the settings do not fit it."""
        intervals = []
        self.screen.flip()
        flipped = self.clock.now()
        for _ in range(_TEST_FLIPS):
            self.screen.flip()
            t = self.clock.now()
            intervals.append(t - flipped)
            flipped = t
        measured_s, hz = median(intervals) / 1e9, self.settings.refresh_hz
        matches = abs(measured_s * hz - 1) < _REFRESH_TOLERANCE
        if self._vblank and not matches:
            rate = "without waiting" if measured_s <= 0 else f"at {1 / measured_s:.1f} Hz"
            raise Refused(
                f"the screen flips {rate}, not at refresh_hz = {hz}; correct refresh_hz or the "
                'vertical sync of the graphics driver, or set paced = "software"'
            )
        if not self._vblank and matches:
            raise Refused(
                f"flips already wait for the screen's refresh at {1 / measured_s:.1f} Hz; set "
                'paced = "vblank" in [nodes.display], or each flip would wait twice'
            )


def plane_textures(corridor: CorridorGeometry) -> list[str]:
    """Return the textures of floor and ceiling, if they have any."""
    return [name for name in (corridor.floor, corridor.ceiling) if name]


def _lap(trial: TrialStart) -> Lap:
    return Lap(trial.stimulus, trial.texture_m, trial.grey_m)


if __name__ == "__main__":
    from rig.process import run

    run(Display)
