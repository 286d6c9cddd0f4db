"""The colours of the study's stimuli are the same on the live page and in a report."""

import re
from importlib.resources import files

from analysis.report.colours import STIMULI


def test_page_and_report_have_the_same_colours() -> None:
    source = (files("rig.monitor") / "page" / "charts.js").read_text()
    table = source.partition("const STIMULI = {")[2].partition("}")[0]
    assert dict(re.findall(r'(\w+): "(#[0-9a-f]{6})"', table)) == STIMULI
