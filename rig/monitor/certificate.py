"""Check a TLS certificate as a browser does, before a page is served with it."""

import ssl
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rig.errors import Refused

_EXPIRED, _NOT_YET = 10, 9
"""X509_V_ERR_CERT_HAS_EXPIRED and X509_V_ERR_CERT_NOT_YET_VALID of OpenSSL."""
_OTHER_NAME = (62, 64)
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""
_TURNS = 4
"""Number of turns of each side; a TLS handshake needs only two."""


def check_certificate(certificate: Path, key: Path, names: Sequence[str]) -> None:
    """Raise Refused if browsers would not accept a certificate, even if they trust its signer.

    Args:
        certificate: PEM file with the certificate, and the certificates that signed it.
        key: PEM file with its private key.
        names: The names and addresses under which browsers open the page.

    Raises:
        Refused: A file cannot be read, the key is that of another certificate, or the certificate
            has expired or is not valid for one of the names.
    """
    server = _server(certificate, key)
    client = ssl.create_default_context(cafile=certificate)
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # trust it without its signer
    for name in names:
        try:
            _handshake(server, client, name)
        except ssl.SSLCertVerificationError as error:
            raise Refused(_why(certificate, name, error)) from error


def _server(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        if getattr(error, "reason", "") == "KEY_VALUES_MISMATCH":
            text = f"{key} is not the private key of {certificate}; name the key that belongs to it"
        else:
            text = f"{certificate} and {key} must be a certificate and its private key, both in PEM"
            text += f", without a password ({error})"
        raise Refused(text) from error
    return context


def _no_password() -> str:
    raise ValueError("the key has a password")


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> None:
    """Connect two sides in memory. Raises SSLCertVerificationError if the client refuses."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    for _ in range(_TURNS):
        for end in ends:
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()


def _why(certificate: Path, name: str, error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code == _EXPIRED:
        return f"the certificate {certificate} has expired; make a new one"
    if error.verify_code == _NOT_YET:
        return f"the certificate {certificate} is not valid yet; check this computer's clock"
    if error.verify_code in _OTHER_NAME:
        return (
            f"the certificate {certificate} is not valid for {name}; give the name that it is "
            "valid for, --name NAME, or make one for this name"
        )
    return f"browsers will not accept the certificate {certificate}: {error.verify_message}"
