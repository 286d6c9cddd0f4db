"""Display: shows the corridor where the task says it stands, and says when each picture was up."""

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
from stimuli.opengl.shaders import MOST_PANES
from stimuli.photodiode.patch_code import encode
from stimuli.scene.corridor_geometry import CorridorGeometry, Lap, Laps, check_corridor
from stimuli.scene.flip_scheduler import FlipScheduler
from stimuli.scene.open_loop import Bar, Bars, Image, Sight, on_show, sight
from stimuli.scene.screen import Scene, Screen, Stage
from stimuli.scene.task_stimuli import Wanted, wanted
from stimuli.screens.screen_geometry import THREE_VIEWS, View, Warp, check_views, panes
from stimuli.screens.screen_overlap import check_overlap
from stimuli.sound.cue_sound import Cues, Speaker
from stimuli.textures.cache import pictures, sha256
from stimuli.textures.names import STIMULI, Picture, check_names
from stimuli.textures.photographs import images

_CHECKED_FLIPS = 60
_REFRESH_WITHIN = 0.02
"""By what share a screen's refresh may differ from the stated one."""


class Display(Node):
    """Driver: one picture a refresh, of the newest Position heard."""

    name = "display"
    subscribes = (Start, Position, TrialStart, TrialEnd, Cue)
    publishes = (Flip, TextureHashes, CueOnset)
    period_s = 1 / 60
    max_batch_delay_s = 0.004
    rank = 1  # without a graphics card it draws for half of each frame: no wheel may wait for that

    class Settings(Node.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """The screens round the animal, the corridor's cross-section, and the pace."""

        screen: dict[str, Any]
        """Which screen (`is`), and that screen's own settings."""
        sound: dict[str, Any] | None = None
        """Which speaker (`is`) plays the cue, and its settings; none: another sounder does."""
        refresh_hz: Annotated[float, msgspec.Meta(ge=10.0, le=500.0)] = 60.0
        paced: Literal["software", "vblank"] = "software"
        """Who says when to flip: this node, or a screen that makes flip wait for its refresh."""
        views: dict[str, View] = msgspec.field(default_factory=dict)
        """Flat screens by name, from left to right; where there is no screen at all, three."""
        warps: dict[str, Warp] = msgspec.field(default_factory=dict)
        """Screens that are seen through a mesh: a cylinder, a dome, a projector."""
        corridor: CorridorGeometry = CorridorGeometry()
        bars: Bars = Bars()
        extrapolate: bool = False
        """Whether to show where the animal will stand in mid-frame, by its speed of late."""

    settings: Settings

    def __init__(self, settings: Settings, publish: Publish) -> None:
        if not settings.views and not settings.warps:
            settings = msgspec.structs.replace(settings, views=THREE_VIEWS)
        super().__init__(settings, publish)
        check_corridor(settings.corridor)
        check_views(settings.views)
        check_names(_planes(settings.corridor), STIMULI, "the corridor has a floor or a ceiling")
        if len(settings.views) + len(settings.warps) > MOST_PANES:
            raise Refused(f"[nodes.display] has more than {MOST_PANES} screens; leave some out")
        self.screen: Screen = device_factory.make(settings.screen, "[nodes.display.screen]")
        self._cues: Cues | None = None
        if settings.sound is not None:
            speaker: Speaker = device_factory.make(settings.sound, "[nodes.display.sound]")
            self._cues = Cues(speaker, publish)
        self._vblank = settings.paced == "vblank"
        self.period_s = 1 / settings.refresh_hz
        self._pace = FlipScheduler(settings.refresh_hz, self._vblank)
        self._wanted = Wanted()
        self._pictures: dict[str, Picture] = {}
        self._images: dict[str, Picture] = {}
        self._sight: Sight | None = None
        self._number = 0
        self._spent_ns = 0
        self._trial: TrialStart | None = None
        self._announced = -1
        self._behind: TrialStart | None = None
        self._laps: Laps | None = None
        self._open_loop: Image | Bar | None = None
        self._position: Position | None = None
        self._drawn: Position | None = None

    def check(self, task: dict[str, Any]) -> None:
        self._wanted = wanted(task)

    def open(self) -> None:
        corridor = self.settings.corridor
        shown = panes(self.settings.views, self.settings.warps)
        check_overlap(shown)
        self._sight = sight(shown)
        asked = self._wanted
        self._pictures = pictures([*asked.walls, *_planes(corridor)], asked.photographs)
        self._images = images(asked.images, self._sight.width_over_height)
        if self._cues is not None:
            self._cues.open(self.clock.now, self.real_animal)
        stage = Stage(shown, corridor, self._pictures, self._vblank, self._images)
        self.screen.open(stage)
        self._check_refresh()
        encode(0)  # works out the whole code
        gc.disable()  # the loop leaves no cycles behind

    def handle(self, message: Message) -> None:
        if self._cues is not None:
            self._cues.handle(message)
        match message:
            case Start():
                every = {**self._pictures, **self._images}
                self.publish(
                    TextureHashes(message.t, {name: sha256(one) for name, one in every.items()})
                )
            case TrialStart():
                self._trial, self._announced = message, message.trial
            case TrialEnd():
                # A corridor that was not run to its end does not lie behind the next one.
                whole = message.outcome == "done"
                self._behind, self._trial = self._trial if whole else None, None
            case Position():
                self._place(message)

    def tick(self, now: int) -> None:
        position = self._position
        position_m, wheel_t = (0.0, 0) if position is None else (position.position_m, position.t)
        if self.settings.extrapolate and position is not None:
            position_m += self._ahead_m(position)
        bright = encode(self._number)
        self.screen.draw(Scene(self._laps, position_m, bright, self._open_loop))
        self._drawn = position
        drawn_t = self.clock.now()
        self._pace.drawn(drawn_t - now)
        self.screen.wait(self._pace.wait_ns(drawn_t))
        before_t = self.clock.now()
        self.screen.flip()
        t = self.clock.now()
        kept, spent_ns = self._pace.flipped(t), time.thread_time_ns()
        loop_ms = (spent_ns - self._spent_ns) / 1e6 if self._number else 0.0
        how = (*kept, bright, self._vblank, loop_ms, now)
        self.publish(Flip(t, self._number, position_m, wheel_t, before_t, *how))
        self._number, self._spent_ns = self._number + 1, spent_ns
        if self._cues is not None:
            self._cues.tick(t)

    def next_due(self, due: int, now: int) -> int:
        return self._pace.draw_due()

    def close(self) -> None:
        gc.enable()
        with ExitStack() as stack:  # the screen last, and whatever the speaker does
            stack.callback(self.screen.close)
            if self._cues is not None:
                self._cues.close()

    def _ahead_m(self, position: Position) -> float:
        """Return how far on the animal will be when the next picture has been up for half a frame.

        By its speed since the picture before, within its corridor.
        """
        before, flip_due = self._drawn, self._pace.flip_due
        if before is None or flip_due is None or before.trial != position.trial:
            return 0.0
        if not position.moving or self._trial is None or position.t <= before.t:
            return 0.0
        speed = (position.position_m - before.position_m) / (position.t - before.t)
        ahead = speed * (flip_due + self._pace.period_ns // 2 - position.t)
        return max(0.0, min(ahead, _lap(self._trial).length_m - position.position_m))

    def _place(self, position: Position) -> None:
        """Take a position over. One of a trial not announced yet waits for its TrialStart."""
        if position.trial > self._announced:
            return
        self._position = position
        self._laps = self._open_loop = None
        if position.trial < 0:
            self._behind = None
        elif self._trial is not None and position.phase == "corridor":
            self._laps = self._laps_round(self._trial)
        elif self._trial is not None and self._sight is not None:
            self._open_loop = on_show(self._trial, position, self.settings.bars, self._sight)

    def _laps_round(self, trial: TrialStart) -> Laps:
        here = _lap(trial)
        grey = Lap(None, trial.texture_m, trial.grey_m)
        last = self._behind
        behind = _lap(last) if last is not None and last.picture == "corridor" else grey
        return behind, here, Lap(trial.next_stimulus, trial.texture_m, trial.grey_m)

    def _check_refresh(self) -> None:
        """Measure how fast the screen flips by itself. Raises Refused if that is not as stated."""
        intervals = []
        self.screen.flip()
        flipped = self.clock.now()
        for _ in range(_CHECKED_FLIPS):
            self.screen.flip()
            t = self.clock.now()
            intervals.append(t - flipped)
            flipped = t
        measured_s, hz = median(intervals) / 1e9, self.settings.refresh_hz
        keeps = abs(measured_s * hz - 1) < _REFRESH_WITHIN
        if self._vblank and not keeps:
            at = "without waiting" if measured_s <= 0 else f"at {1 / measured_s:.1f} Hz"
            raise Refused(
                f"the screen flips {at}, not at refresh_hz = {hz}; correct refresh_hz or the "
                'vertical sync of the driver, or set paced = "software"'
            )
        if not self._vblank and keeps:
            raise Refused(
                f"the screen waits for its own refresh at {1 / measured_s:.1f} Hz; set paced = "
                '"vblank" in [nodes.display], or flips would wait twice'
            )


def _planes(corridor: CorridorGeometry) -> list[str]:
    """Return the pictures of floor and ceiling, if they have one."""
    return [name for name in (corridor.floor, corridor.ceiling) if name]


def _lap(trial: TrialStart) -> Lap:
    return Lap(trial.stimulus, trial.texture_m, trial.grey_m)


if __name__ == "__main__":
    from rig.process import run

    run(Display)
