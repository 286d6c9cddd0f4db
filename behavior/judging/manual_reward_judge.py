"""Water by hand before the referee: each drop needs an order, in its time and of its size."""

from behavior.judging.rules import Rules
from rig.messages import Arm, OperatorRequest, Valve


class ByHand:
    """Knows what the operator asked for and has not been given yet."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._asked: list[OperatorRequest] = []
        self._requests: set[int] = set()

    def order(self, order: OperatorRequest) -> None:
        """Take what the operator asked for."""
        if order.verb == "water":
            self._asked.append(order)

    def request(self, arm: Arm) -> str:
        """Return what is wrong with a manual wish, if anything is."""
        self._requests.add(arm.id)
        self._asked = [order for order in self._asked if arm.t <= order.deadline]
        asked, self._asked = bool(self._asked), self._asked[1:]
        return self._wrong(arm, asked)

    def water(self, valve: Valve) -> str:
        """Return what is wrong with manual water that came, if anything is."""
        return self._wrong(valve, valve.id in self._requests)

    def _wrong(self, message: Arm | Valve, asked: bool) -> str:
        if not asked:
            return "nobody asked for it; look at what opens the valve"
        if not self._rules.watered:
            return f"cohort {self._rules.cohort} gets none"
        if message.line != self._rules.spout or message.volume_ul not in self._rules.rewards_ul:
            return f"{message.volume_ul:g} ul from {message.line} is no reward of this task"
        return ""
