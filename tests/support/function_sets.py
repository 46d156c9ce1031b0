"""Function sets that many tests use."""

KOZA = ["add", "sub", "mul", "div", "sin", "cos", "exp", "log"]
