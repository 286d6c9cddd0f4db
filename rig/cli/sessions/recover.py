"""rig recover: close a session whose launching process died."""

from rich.console import Console

from rig.cli.sessions.end_summary import end
from rig.cli.sessions.session_argument import SessionDir, session_in
from rig.session.preflight import book
from rig.session.recover import settle
from rig.session.session_folder import SubjectLock, sweep
from rig.session.water_totals import settle_water
from rig.settings.config import read_session


def recover(
    folder: SessionDir,
) -> None:
    """Complete the log of a session that was cut off, from its journals, and close it."""
    folder = session_in(folder)
    session = read_session(folder)
    lock = SubjectLock(folder.parent.parent, session.subject)
    try:
        verdict = settle(folder)
        settle_water(folder, session)
        sweep(session)
    finally:
        lock.release()
    console = Console()
    end(folder, None, console)
    if due := book(folder, "recovered after the launching process died"):
        console.print(due, soft_wrap=True)
    whole = "whole" if verdict.whole else "NOT whole"
    order = f"its first {verdict.in_hub_order} words stand in the order in which all heard them"
    console.print(f"the log is {whole}; {order}", soft_wrap=True)
    if verdict.missing:
        console.print(f"not in the log, because it was never said: {verdict.missing}")
