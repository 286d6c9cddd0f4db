"""Commands with which a test changes the simulated card."""

from typing import Any

from tests.behavior.devices.nidaq.simulated_card.service import Service
from tests.behavior.devices.nidaq.simulated_card.signals import Signals


def obey(order: dict[str, Any], signals: Signals, service: Service) -> Any:
    """Carry out a command; return its answer, or None."""
    match order:
        case {"act": "put", "line": str(line), "up": bool(up)}:
            return signals.drive(line, up)
        case {"act": "turn", "counter": str(counter), "counts": int(counts)}:
            with signals.lock:
                signals.position[counter] += counts
        case {"act": "changes", "line": str(line)}:
            with signals.lock:
                return list(signals.changes[line])
        case {"act": "level", "line": str(line)}:
            return signals.level[line]
        case {"act": "fail", "code": int(code), "call": str(call)}:
            service.fault, service.failing = code or None, call
        case {"act": "tasks"}:
            return sorted(service.tasks)
        case {"act": "set clock", "seconds": seconds}:
            signals.set_clock(float(seconds))
        case {"act": "reset"}:
            service.reset()
            signals.reset()
        case _:
            raise ValueError(order)
    return None
