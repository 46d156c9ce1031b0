"""The policy, which samples programs and is differentiated for learning."""

from dso.policy.policy import Policy, Replay
from dso.policy.rnn_policy import RNNPolicy
from dso.policy.state_manager import StateManager
from dso.policy.torch_policy import TorchPolicy

POLICIES: dict[str, type[Policy]] = {"rnn": RNNPolicy}

__all__ = ["POLICIES", "Policy", "RNNPolicy", "Replay", "StateManager", "TorchPolicy"]
