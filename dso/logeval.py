"""``python -m dso.logeval RUN_DIR``; see `dso.report.text`."""

from dso.report.text import LogEval, main

__all__ = ["LogEval", "main"]

if __name__ == "__main__":
    main()
