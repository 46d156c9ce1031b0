"""Many runs: which they are, doing them, the table of them, and the command line.

A *job* is one config with its seed. An *outcome* is what became of it: a result or an error.
"""
