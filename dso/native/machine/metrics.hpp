// Sums over the rows of a prediction, from which the task's metrics follow, and the scaled columns
// that least squares are made of.
#pragma once
#include <cstddef>

namespace dso::machine {

// Each returns the sum over [0, n) of whole lanes, always added in the same order. `weights` is
// zero on padding. The sum of the tiles of a column is the caller's.
double sum_squared_error(const double* prediction, const double* y, const double* weights,
                         size_t n);
double sum_within(const double* prediction, const double* y, const double* tolerance,
                  const double* weights, size_t n);
double dot(const double* a, const double* b, size_t n);
void add(double* total, const double* part, size_t n);  // total += part

// out = roots * (prediction - y)
void scaled_errors(double* out, const double* prediction, const double* y, const double* roots,
                   size_t n);
// out = roots * slope. One that is no number, or whose square is none, belongs to a row at a pole;
// it does not tell where to go.
void scaled_slopes(double* out, const double* slope, const double* roots, size_t n);

}  // namespace dso::machine
