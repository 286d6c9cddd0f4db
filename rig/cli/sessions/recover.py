"""rig recover: close a session whose launching process died."""

from rig.cli.sessions.end_summary import end
from rig.cli.sessions.post_session import water_due
from rig.cli.sessions.session_argument import SessionDir, data_of, session_in
from rig.cli.terminal import new_console
from rig.errors import Refused
from rig.session.recover import complete_log, kept_journals
from rig.session.session_folder import SubjectLock, sweep
from rig.settings.config import SETTINGS_FILE
from rig.subjects.booking import close_booking, save_settings, session_of


def recover(folder: SessionDir) -> None:
    """Complete the log of a session that was cut off, enter its water, and write its summary."""
    folder = session_in(folder)
    session = session_of(folder)
    data = data_of(folder, session)
    console = new_console()
    lock = SubjectLock(data, session.subject)
    try:
        booking = close_booking(data, session, folder, "recovered: the launching process died")
        console.print(f"{session.subject} was given {booking.text} in this session")
        completeness = complete_log(folder)
        sweep(session)
        if not (folder / SETTINGS_FILE).exists():
            save_settings(folder, session)
    finally:
        lock.release()
    try:
        end(folder, None, console)
    except Refused as refusal:
        console.print(f"no summary: {refusal}", style="bold red", soft_wrap=True)
    if due := water_due(data, session.subject, booking):
        console.print(due, soft_wrap=True)
    state = "whole" if completeness.whole else "not whole"
    first = completeness.in_hub_order
    console.print(f"the log is {state}; its first {first} messages are in hub order")
    if completeness.missing:
        console.print(f"not in the log: {completeness.missing}", soft_wrap=True)
    for journal in kept_journals(folder):
        console.print(f"kept, as it was not read to the end of its process: {journal}")
