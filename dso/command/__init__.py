"""The command `dso`: one file per subcommand, loaded when it is called."""
