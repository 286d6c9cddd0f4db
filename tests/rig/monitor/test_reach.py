"""How a page can be reached: the names under which it is served, and TLS."""

import http.client
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from playwright.sync_api import expect
from typer.testing import CliRunner
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from rig.cli.main import app
from rig.errors import Refused
from rig.monitor.imaging import ImagingView
from rig.monitor.serve import names_of
from rig.monitor.server import Monitor
from rig.monitor.usage import Usage
from tests.analysis.logs import enveloped
from tests.rig.monitor.browsers import chromium
from tests.rig.monitor.pages import TOKEN, Handed, Page, Served, served
from tests.rig.monitor.test_state import STARTED

OWN = ("127.0.0.1", "localhost", "::1")
STRANGE = (
    "evil.example",
    "evil.example:{port}",
    "127.0.0.1:1",
    "127.0.0.1",
    "localhost.:{port}",
    "",
)
_AUTHORITY = """
[ca]
default_ca = one
[one]
database = {folder}/index.txt
new_certs_dir = {folder}
rand_serial = yes
default_md = sha256
policy = any
copy_extensions = copy
[any]
commonName = supplied
"""


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    with served(tmp_path, Handed()) as page:
        yield page


def openssl(*arguments: str | Path) -> None:
    """Run openssl, which makes the certificates of these tests."""
    program = shutil.which("openssl")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("openssl is not installed")
        pytest.skip("openssl is not installed")
    subprocess.run([program, *arguments], check=True, capture_output=True)


def certificate(folder: Path, names: str, days: tuple[str, str] = ("2020", "2099")) -> list[Path]:
    """Make a self-signed certificate, valid between two years; return it and its key."""
    folder.mkdir()
    key, request, made = folder / "key.pem", folder / "request.pem", folder / "certificate.pem"
    config, index = folder / "authority.cnf", folder / "index.txt"
    config.write_text(_AUTHORITY.format(folder=folder))
    index.touch()
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    extension = ("-addext", f"subjectAltName={names}")
    openssl("req", "-new", *curve, "-keyout", key, "-out", request, "-subj", "/CN=rig", *extension)
    valid = ("-startdate", f"{days[0]}0101000000Z", "-enddate", f"{days[1]}0101000000Z")
    files = ("-in", request, "-keyfile", key, "-out", made, "-config", config)
    openssl("ca", "-batch", "-notext", "-selfsign", *valid, *files)
    return [made, key]


def asked(port: int, host: str, method: str = "GET", path: str = "/") -> tuple[int, str]:
    """Send a request with the given Host header; return the status and the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.putrequest(method, path, skip_host=True)
    if host:
        connection.putheader("Host", host)
    connection.endheaders()
    response = connection.getresponse()
    answer = response.status, response.read().decode()
    connection.close()
    return answer


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_a_page_is_served_under_the_names_of_its_machine(page: Page, name: str) -> None:
    status, text = asked(page.port, f"{name}:{page.port}")
    assert status == 200
    assert "<title>rig</title>" in text


@pytest.mark.parametrize("host", STRANGE)
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("GET", "/status"), ("POST", "/request")]
)
def test_a_page_is_not_served_under_another_name(
    page: Page, host: str, method: str, path: str
) -> None:
    status, text = asked(page.port, host.format(port=page.port), method, path)
    assert status in (421, 400)  # 400: an HTTP/1.1 request without Host, which no browser sends
    assert status == 400 or text == f"open this page as http://127.0.0.1:{page.port}"


def test_a_websocket_is_not_served_under_another_name(page: Page) -> None:
    here = ("127.0.0.1", page.port)
    with connect(f"ws://localhost:{page.port}/live", sock=socket.create_connection(here)) as opened:
        assert '"snapshot":true' in str(opened.recv())
    with pytest.raises(InvalidStatus, match="403"):
        connect(f"ws://evil.example:{page.port}/live", sock=socket.create_connection(here))


def test_beyond_this_machine_it_needs_tls_and_a_name(tmp_path: Path) -> None:
    assert names_of("127.0.0.1", None, None) == OWN
    assert names_of("localhost", None, None)[0] == "localhost"
    with pytest.raises(Refused, match="needs TLS"):
        names_of("0.0.0.0", None, None)
    with pytest.raises(Refused, match="needs both files"):
        names_of("0.0.0.0", tmp_path, None)
    with pytest.raises(Refused, match="there is no file"):
        names_of("0.0.0.0", tmp_path / "a.pem", tmp_path / "b.pem")
    made, key = certificate(tmp_path / "one", "DNS:rig1.lab,IP:10.0.0.7")
    with pytest.raises(Refused, match="give the name that browsers use"):
        names_of("0.0.0.0", made, key)
    assert names_of("0.0.0.0", made, key, ["rig1.lab"]) == ("rig1.lab",)
    assert names_of("10.0.0.7", made, key) == ("10.0.0.7",)
    assert names_of("127.0.0.1", made, key, ["rig1.lab"]) == ("rig1.lab", *OWN)


def test_a_certificate_that_browsers_refuse_is_refused_in_one_sentence(tmp_path: Path) -> None:
    made, key = certificate(tmp_path / "one", "DNS:rig1.lab,IP:10.0.0.7")
    other, other_key = certificate(tmp_path / "other", "DNS:rig1.lab")
    expired = certificate(tmp_path / "expired", "DNS:rig1.lab", ("2020", "2021"))
    early = certificate(tmp_path / "early", "DNS:rig1.lab", ("2098", "2099"))
    locked = tmp_path / "locked.pem"
    openssl("ec", "-in", key, "-out", locked, "-aes256", "-passout", "pass:secret")
    wrong = [
        ((made, other_key), "rig1.lab", f"{other_key} is not the private key of {made}; "),
        ((key, made), "rig1.lab", "must be a certificate and its private key, both in PEM"),
        ((made, locked), "rig1.lab", "without a password"),
        (expired, "rig1.lab", "has expired; make a new one"),
        (early, "rig1.lab", "is not valid yet; check this computer's clock"),
        ((other, other_key), "rig2.lab", "is not valid for rig2.lab; give the name"),
        ((made, key), "10.0.0.8", "is not valid for 10.0.0.8; give the name"),
    ]
    for (file, key_file), name, why in wrong:
        with pytest.raises(Refused) as refusal:
            names_of("0.0.0.0", file, key_file, [name])
        text = str(refusal.value)
        assert why in text
        assert "\n" not in text


@pytest.mark.parametrize("command", ["monitor", "panel", "overview"])
def test_each_page_refuses_a_certificate_for_another_name(tmp_path: Path, command: str) -> None:
    made, key = certificate(tmp_path / "one", "DNS:rig1.lab")
    reach = ["--host", "0.0.0.0", "--name", "rig2.lab", "--no-browser"]
    files = ["--certificate", str(made), "--key", str(key)]
    rigs = ["left=http://127.0.0.1:9"] if command == "overview" else []
    result = CliRunner().invoke(app, [command, *rigs, *reach, *files])
    assert "is not valid for rig2.lab" in str(result.exception)


@pytest.mark.slow
def test_page_and_websocket_are_served_over_tls(tmp_path: Path) -> None:
    made, key = certificate(tmp_path / "one", "DNS:localhost,IP:127.0.0.1")
    trusting = ssl.create_default_context(cafile=made)
    feed = Handed()
    monitor = Monitor(feed, ImagingView(tmp_path), Usage(tmp_path, False), TOKEN, None)
    page = Served(monitor, tls=(made, key))
    feed.hand(enveloped([STARTED]))
    try:
        for name in ("localhost", "127.0.0.1"):
            with urlopen(f"https://{name}:{page.port}/", context=trusting) as response:
                assert b"<title>rig</title>" in response.read()
            with connect(f"wss://{name}:{page.port}/live", ssl=trusting) as opened:
                assert '"snapshot":true' in str(opened.recv())
        with pytest.raises(ssl.SSLCertVerificationError):
            connect(f"wss://localhost:{page.port}/live", ssl=ssl.create_default_context())
        with chromium() as browser:
            tab = browser.new_context(ignore_https_errors=True).new_page()
            tab.goto(f"https://localhost:{page.port}/")
            expect(tab.locator("#link")).to_have_text("live")
            expect(tab.locator("#subject")).to_have_text("VR2")
    finally:
        page.stop()
