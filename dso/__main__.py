"""``python -m dso COMMAND``; see `dso.command`."""

from dso.command.main import main

if __name__ == "__main__":
    main(prog_name="dso")
