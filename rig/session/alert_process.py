"""Start the process that sends a session's alerts; the session never waits for it."""

import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.text import Text

from rig.errors import Refused
from rig.settings.alert_settings import read_alerts

_MODULE = "rig.cli.alerts.session_process"


class AlertProcess(AbstractContextManager["AlertProcess"]):
    """The process, if alerts are set up. It ends by itself after it has sent the last alert."""

    def __init__(self, folder: Path, console: Console) -> None:
        """Start the process for the session in `folder`; print a warning if that fails."""
        self._process: subprocess.Popen[bytes] | None = None
        try:
            if read_alerts() is None:
                return
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", _MODULE, str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C ends the session, which must still be reported
            )
        except (Refused, OSError) as error:
            console.print(Text(f"WARNING: no alerts are sent: {error}", "bold yellow"))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Tell the process that the session is over, without waiting for it."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.returncode = 0  # nobody waits for it: it outlives this process
