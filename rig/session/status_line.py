"""The status line that the operator sees while a session runs."""

from rich.text import Text

from rig.messages import (
    Fault,
    Integrity,
    Lick,
    Message,
    Position,
    Scan,
    SettingChange,
    TrialStart,
    Valve,
)
from rig.session.operator_keys import HELP
from rig.transport.envelope import Envelope


class StatusLine:
    """The newest values of everything that a session publishes, in one line."""

    subscribes = (Position, TrialStart, Lick, Valve, Fault, Integrity, Scan, SettingChange)

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.remarks: list[str] = []
        """Changes that the operator should know but that are not faults."""
        self.stopping = False
        """True if the operator has requested a stop after this trial."""
        self._findings: list[str] = []
        """The findings of the integrity process."""
        self._position: Position | None = None
        self._trial: TrialStart | None = None
        self._lick_t: int | None = None
        self._water_ul = 0.0
        self._rewards = 0

    @property
    def paused(self) -> bool:
        """True if the operator has paused the task."""
        return self._position is not None and self._position.phase == "paused"

    def handle(self, envelope: Envelope, message: Message) -> None:
        """Handle one message."""
        match message:
            case Position():
                self._position = message
            case TrialStart():
                self._trial = message
            case Lick():
                self._lick_t = message.t
            case Valve(refused=""):
                self._water_ul += message.volume_ul
                self._rewards += 1
            case Fault():
                self.faults.append(f"{envelope.sender}: {message.text}")
            case Integrity(findings=(_, *_)):
                self._findings.append(message.text)
            case Scan(changed=(_, *_)):
                self.remarks.append(f"ScanImage's settings changed: {'; '.join(message.changed)}")
            case SettingChange(refused=""):
                change = f"{message.name} changes from {message.old} to {message.new}"
                self.remarks.append(f"{change} in trial {message.trial}, by {message.by}")
            case SettingChange():
                self.remarks.append(f"setting not changed: {message.refused}")
            case _:
                pass

    def text(self, now: int, question: str) -> Text:
        """Return the line at a session time (ns), or the question to the operator, if any."""
        if question:
            return Text(question, "bold yellow")
        line = Text(f"{now // 60_000_000_000:2d}:{now // 1_000_000_000 % 60:02d}  ")
        place = self._position
        if place is None or place.trial < 0 or self._trial is None:
            line.append("PAUSED" if self.paused else "grey", "bold yellow" if self.paused else "")
        else:
            reward = " (rewarded)" if self._trial.rewarded else ""
            line.append(f"trial {self._trial.trial} {self._trial.stimulus}{reward}", "bold")
            if place.phase == "corridor":
                line.append(f"  {place.position_m:4.2f} m")
        speed = 0.0 if place is None else place.speed_cm_s
        line.append(f"  {speed:3.0f} cm/s  ")
        line.append("last lick -" if self._lick_t is None else self._lick(now))
        line.append(f"  water {self._water_ul:.1f} ul ({self._rewards})  ")
        if self.faults:
            line.append(f"{len(self.faults)} FAULTS: {self.faults[-1]}", "bold red")
        else:
            line.append("no faults", "green")
        if self._findings:
            found = f"  {len(self._findings)} NOT SOUND: {self._findings[-1]}"
            line.append(found, "bold yellow")
        if self.stopping:
            line.append("  STOPPING after this trial", "bold yellow")
        line.append(f"\n{HELP}", "dim")
        return line

    def _lick(self, now: int) -> str:
        return f"last lick {(now - (self._lick_t or now)) / 1e9:.1f} s ago"
