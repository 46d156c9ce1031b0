"""``python -m dso.run [CONFIG] [options]``; see `dso.launch.command`."""

from dso.launch.command import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
