"""What may be written next: one prior per file, and their merger."""

from dso.prior.const import ConstConstraint
from dso.prior.domain_range import DomainRangeConstraint
from dso.prior.inverse import InverseUnaryConstraint
from dso.prior.joint_prior import JointPrior
from dso.prior.length import LengthConstraint
from dso.prior.make import PRIORS, make_joint_prior
from dso.prior.no_inputs import NoInputsConstraint
from dso.prior.poly import PolyConstraint
from dso.prior.prior import Constraint, Prior
from dso.prior.relational import RelationalConstraint
from dso.prior.repeat import RepeatConstraint
from dso.prior.soft_length import SoftLengthPrior
from dso.prior.state_checker import StateCheckerConstraint
from dso.prior.trig import TrigConstraint
from dso.prior.uniform_arity import UniformArityPrior

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
