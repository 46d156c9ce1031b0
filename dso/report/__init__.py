"""Reports: one page about one or many runs. ``python -m dso.report RUN_DIR [RUN_DIR ...]``."""

from dso.report.collect import Collector
from dso.report.page import build_page

__all__ = ["Collector", "build_page"]
