"""From a config to a `Run`: each part is handed its section as plain arguments.

With `core` and `launch` this is where a config is read: the parts themselves take plain arguments.
`run` puts together what the other files make, one for each group of parts.
"""

from dso.build.journal import config_text
from dso.build.policy import data_ranges, make_prior
from dso.build.run import Run, build
from dso.build.scoring import make_task
from dso.build.stopping import make_stopping

__all__ = ["Run", "build", "config_text", "data_ranges", "make_prior", "make_stopping", "make_task"]
