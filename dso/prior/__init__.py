"""What may be written next: one prior per file, and their merger."""

from dso.prior.const import ConstConstraint
from dso.prior.domain_range import DomainRangeConstraint
from dso.prior.inverse import InverseUnaryConstraint
from dso.prior.joint_prior import JointPrior, make_joint_prior
from dso.prior.length import LengthConstraint
from dso.prior.no_inputs import NoInputsConstraint
from dso.prior.poly import PolyConstraint
from dso.prior.prior import Constraint, Prior
from dso.prior.relational import RelationalConstraint
from dso.prior.repeat import RepeatConstraint
from dso.prior.soft_length import SoftLengthPrior
from dso.prior.state_checker import StateCheckerConstraint
from dso.prior.trig import TrigConstraint
from dso.prior.uniform_arity import UniformArityPrior

PRIORS: dict[str, type[Prior]] = {
    "relational": RelationalConstraint,
    "length": LengthConstraint,
    "repeat": RepeatConstraint,
    "inverse": InverseUnaryConstraint,
    "trig": TrigConstraint,
    "const": ConstConstraint,
    "no_inputs": NoInputsConstraint,
    "uniform_arity": UniformArityPrior,
    "soft_length": SoftLengthPrior,
    "domain_range": DomainRangeConstraint,
}

__all__ = [
    "PRIORS",
    "ConstConstraint",
    "Constraint",
    "DomainRangeConstraint",
    "InverseUnaryConstraint",
    "JointPrior",
    "LengthConstraint",
    "NoInputsConstraint",
    "PolyConstraint",
    "Prior",
    "RelationalConstraint",
    "RepeatConstraint",
    "SoftLengthPrior",
    "StateCheckerConstraint",
    "TrigConstraint",
    "UniformArityPrior",
    "make_joint_prior",
]
