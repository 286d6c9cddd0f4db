"""Alerts of a real session are sent, and a stalled channel does not affect the session."""

from pathlib import Path

import pytest

from rig.cli.chaos.session_process import behavior_alone
from rig.messages import TrialStart
from tests.live import Live
from tests.rig.alerts.receiver import receiver, write_alerts

pytestmark = pytest.mark.session


def test_the_end_is_sent_while_another_channel_is_stalled(tmp_path: Path) -> None:
    config = tmp_path / "config"
    with receiver() as good, receiver(stalled=True) as stalled:
        write_alerts(config, stalled.address, good.address)
        env = {"XDG_CONFIG_HOME": str(config)}
        setup = behavior_alone(tmp_path)
        args = ("--minutes", "0.05")
        sets = ("task.grey_before_s=0.3",)
        with Live(tmp_path / "data", *sets, setup=setup, args=args, env=env) as live:
            live.until(TrialStart)
            code, output = live.end()  # the session does not wait for the stalled channel
            assert code == 0, output
        title, body = good.next()
        assert title == "test on simulated: session ended"
        assert body.startswith("time is up.")


def test_wrong_alert_settings_are_a_warning(tmp_path: Path) -> None:
    config = tmp_path / "config"
    write_alerts(config, "json://x").chmod(0o644)
    env = {"XDG_CONFIG_HOME": str(config)}
    setup = behavior_alone(tmp_path)
    with Live(tmp_path / "data", setup=setup, args=("--minutes", "0.02"), env=env) as live:
        code, output = live.end()
        assert code == 0, output
        assert "WARNING: no alerts are sent" in output
