"""The compiled core: program arrays, evaluation, traversal state and policy. See `bindings/module.cpp`."""
