"""Display: shows the corridor where the task says it stands, and says when each picture was up."""

from typing import Annotated, Any, Literal

import msgspec

from rig import device
from rig.config import blocks
from rig.messages import Flip, Message, Position, TrialEnd, TrialStart
from rig.node import Node, Say
from rig.refused import Refused
from stimuli.geometry import Corridor, Lap, Laps, check_corridor
from stimuli.panes import THREE_VIEWS, View, Warp, check_views, panes
from stimuli.screen import Scene, Screen, Stage
from stimuli.shaders import MOST_PANES
from stimuli.textures import STIMULI, pictures

_CHECKED_FLIPS = 30


class Display(Node):
    """Driver: one picture a refresh, of the newest Position heard."""

    name = "display"
    hears = (Position, TrialStart, TrialEnd)
    says = (Flip,)
    period_s = 1 / 60
    patience_s = 0.02

    class Settings(Node.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """The screens round the animal, the corridor's cross-section, and the pace."""

        screen: dict[str, Any]
        """Which screen (`is`), and that screen's own settings."""
        refresh_hz: Annotated[float, msgspec.Meta(ge=10.0, le=500.0)] = 60.0
        paced: Literal["software", "vblank"] = "software"
        """Who says when to flip: this node, or a screen that makes flip wait for its refresh."""
        views: dict[str, View] = msgspec.field(default_factory=dict)
        """Flat screens by name, from left to right; where there is no screen at all, three."""
        warps: dict[str, Warp] = msgspec.field(default_factory=dict)
        """Screens that are seen through a mesh: a cylinder, a dome, a projector."""
        corridor: Corridor = Corridor()

    settings: Settings

    def __init__(self, settings: Settings, say: Say) -> None:
        if not settings.views and not settings.warps:
            settings = msgspec.structs.replace(settings, views=THREE_VIEWS)
        super().__init__(settings, say)
        check_corridor(settings.corridor)
        check_views(settings.views)
        if len(settings.views) + len(settings.warps) > MOST_PANES:
            raise Refused(f"[nodes.display] has more than {MOST_PANES} screens; leave some out")
        self.screen: Screen = device.make(settings.screen, "[nodes.display.screen]")
        # At a vblank pace the flip waits; a tick is then due as soon as the flip is done.
        waits = settings.paced == "vblank"
        self.period_s = (0.5 if waits else 1.0) / settings.refresh_hz
        self._number = 0
        self._flipped_t: int | None = None
        self._trial: TrialStart | None = None
        self._announced = -1
        self._behind: TrialStart | None = None
        self._laps: Laps | None = None
        self._position: Position | None = None

    def check(self, task: dict[str, Any]) -> None:
        for block in blocks(task):
            if block.get("picture", "corridor") != "corridor":
                continue
            unknown = [f'"{name}"' for name in block.get("stimuli", ()) if name not in STIMULI]
            if unknown:
                raise Refused(
                    f"the task has stimuli without a picture: {', '.join(unknown)}; correct "
                    f"stimuli (there are: {', '.join(STIMULI)})"
                )

    def open(self) -> None:
        waits = self.settings.paced == "vblank"
        shown = panes(self.settings.views, self.settings.warps)
        stage = Stage(shown, self.settings.corridor, pictures(), waits)
        self.screen.open(stage)
        if waits:
            self._check_refresh()

    def hear(self, word: Message) -> None:
        match word:
            case TrialStart():
                self._trial, self._announced = word, word.trial
            case TrialEnd():
                # A corridor that was not run to its end does not lie behind the next one.
                whole = word.outcome == "done"
                self._behind, self._trial = self._trial if whole else None, None
            case Position():
                self._place(word)

    def tick(self, now: int) -> None:
        position = self._position
        position_m, wheel_t = (0.0, 0) if position is None else (position.position_m, position.t)
        self.screen.draw(Scene(self._laps, position_m, self._number % 2 == 0))
        before_t = self.clock.now()
        self.screen.flip()
        t = self.clock.now()
        interval_s = 0.0 if self._flipped_t is None else (t - self._flipped_t) / 1e9
        late = interval_s > 1.5 / self.settings.refresh_hz
        self.say(Flip(t, self._number, position_m, wheel_t, before_t, late))
        self._number, self._flipped_t = self._number + 1, t

    def close(self) -> None:
        self.screen.close()

    def _place(self, position: Position) -> None:
        """Take a position over. One of a trial not announced yet waits for its TrialStart."""
        if position.trial > self._announced:
            return
        self._position = position
        if self._trial is None or position.trial < 0 or position.phase != "corridor":
            self._laps = None
        else:
            self._laps = self._laps_round(self._trial)

    def _laps_round(self, trial: TrialStart) -> Laps:
        here = _lap(trial)
        grey = Lap(None, trial.texture_m, trial.grey_m)
        behind = grey if self._behind is None else _lap(self._behind)
        return behind, here, Lap(trial.next_stimulus, trial.texture_m, trial.grey_m)

    def _check_refresh(self) -> None:
        """Measure how fast the screen flips by itself. Raises Refused if that is not refresh_hz."""
        self.screen.flip()
        began = self.clock.now()
        for _ in range(_CHECKED_FLIPS):
            self.screen.flip()
        measured_s = (self.clock.now() - began) / 1e9 / _CHECKED_FLIPS
        if abs(measured_s * self.settings.refresh_hz - 1) > 0.05:
            hz = "without waiting" if measured_s <= 0 else f"at {1 / measured_s:.1f} Hz"
            raise Refused(
                f"the screen flips {hz}, not at refresh_hz = {self.settings.refresh_hz}; "
                'correct refresh_hz or the vertical sync of the driver, or set paced = "software"'
            )


def _lap(trial: TrialStart) -> Lap:
    return Lap(trial.stimulus, trial.texture_m, trial.grey_m)


if __name__ == "__main__":
    from rig.process import run

    run(Display)
