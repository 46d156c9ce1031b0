// Operators solved for one of their arguments.
#pragma once
#include <cstddef>

#include "machine/operators.hpp"

namespace dso::machine {

// Whether y = op(a, b) can be solved for its first (0) or second (1) argument.
bool has_inverse(Op op, int argument);

// out = the argument for which op gives y, `other` being the other one. Where an operator has more
// than one inverse it is the principal one, where it has none in the reals the result is NaN.
// The native half of `Operator.inverse` in dso/library/functions.py; a test compares them.
void invert(Op op, int argument, const double* y, const double* other, double* out, size_t n);

}  // namespace dso::machine
