"""Priors: which token may come next. One prior per file, and their merger."""

from dso.prior.all_inputs import AllInputsConstraint
from dso.prior.argument_size import ArgumentSizeConstraint
from dso.prior.argument_type import ArgumentTypeConstraint
from dso.prior.const import ConstConstraint
from dso.prior.domain_range import DomainRangeConstraint
from dso.prior.inverse import InverseUnaryConstraint
from dso.prior.joint_prior import JointPrior, masking_table
from dso.prior.length import LengthConstraint
from dso.prior.make import PRIORS, make_joint_prior
from dso.prior.max_depth import MaxDepthConstraint
from dso.prior.max_size import MaxSizeConstraint
from dso.prior.multi_discrete import MultiDiscreteConstraint
from dso.prior.mutually_exclusive import MutuallyExclusiveConstraint
from dso.prior.nesting import NestingConstraint
from dso.prior.no_inputs import NoInputsConstraint
from dso.prior.poly import PolyConstraint
from dso.prior.prior import Constraint, Prior
from dso.prior.relational import RelationalConstraint
from dso.prior.repeat import RepeatConstraint
from dso.prior.soft_length import SoftLengthPrior
from dso.prior.state_checker import StateCheckerConstraint
from dso.prior.template import TemplateConstraint
from dso.prior.trig import TrigConstraint
from dso.prior.uniform_arity import UniformArityPrior
from dso.prior.units import UnitsConstraint

__all__ = [
    "PRIORS",
    "AllInputsConstraint",
    "ArgumentSizeConstraint",
    "ArgumentTypeConstraint",
    "ConstConstraint",
    "Constraint",
    "DomainRangeConstraint",
    "InverseUnaryConstraint",
    "JointPrior",
    "LengthConstraint",
    "MaxDepthConstraint",
    "MaxSizeConstraint",
    "MultiDiscreteConstraint",
    "MutuallyExclusiveConstraint",
    "NestingConstraint",
    "NoInputsConstraint",
    "PolyConstraint",
    "Prior",
    "RelationalConstraint",
    "RepeatConstraint",
    "SoftLengthPrior",
    "StateCheckerConstraint",
    "TemplateConstraint",
    "TrigConstraint",
    "UniformArityPrior",
    "UnitsConstraint",
    "make_joint_prior",
    "masking_table",
]
