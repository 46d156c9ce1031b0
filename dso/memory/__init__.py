"""What a run remembers: hall of fame, Pareto front and what the policy learns from again."""

from dso.memory.complexity import OF_EXPONENTIALS, complexity_measure
from dso.memory.hall_of_fame import HallOfFame
from dso.memory.judge import Judge
from dso.memory.keeper import Keeper
from dso.memory.pareto_front import ParetoFront
from dso.memory.priority_queue import PriorityQueue
from dso.memory.program_memory import ProgramMemory
from dso.memory.scored_programs import ScoredPrograms
from dso.program.batch import Batch

__all__ = [
    "OF_EXPONENTIALS",
    "Batch",
    "HallOfFame",
    "Judge",
    "Keeper",
    "ParetoFront",
    "PriorityQueue",
    "ProgramMemory",
    "ScoredPrograms",
    "complexity_measure",
]
