"""The one hub: every word passes it, so that all who hear see one order."""

import sys
import threading

import zmq

from rig.errors import Refused

HIGH_WATER_MESSAGES = 100_000


class Hub:
    """Passes every word on, from `port` to `port + 1`, in one order for all who hear."""

    def __init__(self, port: int) -> None:
        """Take both ports. Raises Refused if one is in use."""
        self._context = zmq.Context()
        self._front = self._context.socket(zmq.XSUB)
        self._back = self._context.socket(zmq.XPUB)
        for socket, at in ((self._front, port), (self._back, port + 1)):
            socket.linger = 0
            socket.rcvhwm = socket.sndhwm = HIGH_WATER_MESSAGES
            try:
                for address in addresses(at):
                    socket.bind(address)
            except zmq.ZMQError as error:
                self._context.destroy(linger=0)
                raise Refused(
                    f"port {at} on this machine is in use ({error}): a session already runs on "
                    "this rig, or set rig.hub_port to a free one"
                ) from error
        self._front.send(b"\x01")  # every kind from every speaker, heard or not
        self._thread = threading.Thread(target=self._pass_on, name="hub", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop passing words on and free the ports."""
        self._context.term()
        self._thread.join()

    def _pass_on(self) -> None:
        try:
            zmq.proxy(self._front, self._back)
        except zmq.ContextTerminated:
            pass
        finally:
            self._front.close()
            self._back.close()


def addresses(port: int) -> list[str]:
    """Return where the hub is to be met, the quickest way last (without a network stack)."""
    loopback = f"tcp://127.0.0.1:{port}"
    return [loopback, f"ipc://@rig-hub-{port}"] if sys.platform == "linux" else [loopback]
