"""Each promise of docs/safety.md names the tests that show it, and they exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def promises() -> list[str]:
    lines = (ROOT / "docs" / "safety.md").read_text(encoding="utf-8").splitlines()
    rows = [line.strip("| ") for line in lines if line.startswith("| ")]
    return [row for row in rows if not row.startswith("promise | how")]


def named_tests(promise: str) -> Iterator[Path]:
    """Yield the paths of a promise's tests; a bare name is in the folder of the test before it."""
    folder = ROOT
    for name in re.findall(r"[\w/]*test_\w+\.py", promise.rpartition(" | ")[2]):
        found = [one / name for one in (folder, *folder.parents) if (one / name).is_file()]
        path = found[0] if found else folder / name
        folder = path.parent
        yield path


@pytest.mark.parametrize("promise", promises())
def test_a_promise_names_tests_that_exist(promise: str) -> None:
    tests = list(named_tests(promise))
    assert tests, promise
    assert [path for path in tests if not path.is_file()] == []
