"""The example notebook runs on a real session, and its plots are drawn."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.kept_sessions import SCHEMAS, kept_session

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "examples" / "first_session.ipynb"
PLOTS = ("licks", "activity", "selectivity", "position tuning", "reward prediction")


def outputs(notebook: Any, kind: str) -> list[Any]:
    return [
        one["data"][kind]
        for cell in notebook.cells
        for one in cell.get("outputs", [])
        if kind in one.get("data", {})
    ]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_notebook_runs_on_a_session_and_draws_its_plots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reason = "the packages of rig[notebook] and rig[test] are not installed"
    nbformat = pytest.importorskip("nbformat", reason=reason)
    nbclient = pytest.importorskip("nbclient", reason=reason)
    pytest.importorskip("ipykernel", reason=reason)
    monkeypatch.setenv("RIG_SESSION", str(kept_session(SCHEMAS[-1], tmp_path)))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "keep it without outputs"
    where = {"metadata": {"path": str(NOTEBOOK.parent)}}
    nbclient.NotebookClient(notebook, timeout=None, resources=where).execute()
    (table,) = outputs(notebook, "text/html")
    assert "circle1" in table
    images = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("L"))
        for png in outputs(notebook, "image/png")
    ]
    assert len(images) == len(PLOTS)
    for name, image in zip(PLOTS, images, strict=True):
        assert image.shape[1] > 600, name
        assert (image < 128).mean() > 0.002, f"{name}: the plot is empty"
