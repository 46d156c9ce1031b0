"""What a run remembers: hall of fame and Pareto front."""

from dso.batch import Batch
from dso.memory.hall_of_fame import HallOfFame
from dso.memory.pareto_front import ParetoFront
from dso.memory.scored_programs import ScoredPrograms, complexity_measure

__all__ = ["Batch", "HallOfFame", "ParetoFront", "ScoredPrograms", "complexity_measure"]
