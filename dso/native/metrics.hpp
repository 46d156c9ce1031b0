// Sums over the rows of a prediction, from which the task's metrics follow.
#pragma once
#include <cstddef>

namespace dso {

// Each returns the sum over [0, n) of whole lanes, always added in the same order. `weights` is
// zero on padding. The sum of the tiles of a column is the caller's.
double sum_squared_error(const double* prediction, const double* y, const double* weights,
                         size_t n);
double sum_within(const double* prediction, const double* y, const double* tolerance,
                  const double* weights, size_t n);

}  // namespace dso
