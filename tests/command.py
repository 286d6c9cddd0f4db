"""Run the command in the process of the test."""

from typer.testing import CliRunner, Result

from rig.cli.main import app
from rig.errors import Refused


def rig(*arguments: object) -> Result:
    """Run `rig` with these arguments."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refusal(*arguments: object) -> str:
    """Run `rig`, which must refuse; return the sentence."""
    done = rig(*arguments)
    assert isinstance(done.exception, Refused), done.output
    return str(done.exception)
