"""The compiled core: program arrays, evaluation, traversal state and policy.

`bindings/module.cpp` says what Python sees of it.
"""
