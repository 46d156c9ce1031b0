// Derivatives of the operator table, and how they are chained.
#pragma once
#include <cstddef>

#include "machine/operators.hpp"

namespace dso::machine {

// Chain rule through one operator over whole lanes of rows: given upstream = d(program)/d(y) where
// y = op(a, b), write d(program)/d(a) and d(program)/d(b). A null `da` or `db` is not wanted.
//
// Where the derivative jumps (abs, max, protected forms) it is that of either side, and where it
// has a pole the value is not finite; what to make of that is the caller's.
void chain(Op op, const double* upstream, const double* a, const double* b, const double* y,
           double* da, double* db, size_t n);

// The same through a StateChecker, whose condition has no derivative.
void chain_less(const double* upstream, const double* checked, double threshold, double* da,
                double* db, size_t n);

}  // namespace dso::machine
