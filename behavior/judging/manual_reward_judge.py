"""Judge manual rewards: each needs a request of the operator, in time and of the right volume."""

from behavior.judging.rules import Rules
from rig.messages import Arm, OperatorRequest, Valve


class ManualRewardJudge:
    """The operator's open requests for water, and the check of each manual reward."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._rewards_ul = set(rules.rewards_ul)
        self._pending: list[OperatorRequest] = []
        self._arm_ids: set[int] = set()

    def add_request(self, request: OperatorRequest) -> None:
        """Add a request for water; ignore other requests."""
        if request.verb == "water":
            self._pending.append(request)

    def change_rules(self, rules: Rules) -> None:
        """Allow also the volumes of changed settings; earlier requests may still be carried out."""
        self._rules = rules
        self._rewards_ul |= rules.rewards_ul

    def judge_arm(self, arm: Arm) -> str:
        """Return what is wrong with a manual Arm, or "". Each Arm uses up one request."""
        self._arm_ids.add(arm.id)
        self._pending = [request for request in self._pending if arm.t <= request.deadline]
        requested, self._pending = bool(self._pending), self._pending[1:]
        return self._judge(arm, requested)

    def judge_valve(self, valve: Valve) -> str:
        """Return what is wrong with a manual reward that was given, or ""."""
        return self._judge(valve, valve.id in self._arm_ids)

    def _judge(self, message: Arm | Valve, requested: bool) -> str:
        if not requested:
            return "nobody requested it; find out what opens the valve"
        if not self._rules.watered:
            return f"cohort {self._rules.cohort} gets no water"
        if message.line != self._rules.spout or message.volume_ul not in self._rewards_ul:
            return f"{message.volume_ul:g} ul from {message.line} is not a reward of this task"
        return ""
