"""An hour of messages in fast replay: the memory of server and browser does not grow."""

import json
import re
import subprocess
import sys

import pytest
from playwright.sync_api import expect

from tests.rig.monitor.browsers import chromium

pytestmark = [pytest.mark.slow, pytest.mark.virtual]

_MODULE = "rig.cli.bench.live_page.hour"
_HOURS, _SECONDS, _CELLS = "1", "20", "2000"
_SERVER_MB, _BROWSER_MB = 12.0, 4.0
"""By how much memory may differ between a third of the hour and its end."""


def test_an_hour_of_messages_leaves_memory_flat() -> None:
    server = subprocess.Popen(
        [sys.executable, "-m", _MODULE, _CELLS, _HOURS, _SECONDS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdin is not None and server.stdout is not None
    address = server.stdout.readline().strip()
    heap_mb = []
    with chromium() as browser:
        tab = browser.new_page()
        tab.goto(address)
        tools = tab.context.new_cdp_session(tab)
        for shown in ("1[0-9][0-9]", "300"):
            expect(tab.locator("#trial")).to_have_text(re.compile(shown), timeout=300_000)
            tools.send("HeapProfiler.collectGarbage")
            heap_mb.append(tools.send("Runtime.getHeapUsage")["usedSize"] / 1e6)
    memory_mb = json.loads(server.communicate("")[0])
    assert server.returncode == 0
    assert memory_mb[-1] - memory_mb[3] < _SERVER_MB, memory_mb
    assert heap_mb[1] - heap_mb[0] < _BROWSER_MB, heap_mb
