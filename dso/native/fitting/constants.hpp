// Fits the constants of programs to data by least squares, or by another loss.
#pragma once
#include <limits>
#include <vector>

#include "fitting/differentiable_program.hpp"
#include "machine/batch.hpp"

namespace dso::fitting {

// Bounds of the constants of each program.
class Bounds {
public:
    // (B, K) each; null where there are none.
    Bounds(const double* lower, const double* upper, size_t n_constants)
        : lower_(lower),
          upper_(upper),
          n_constants_(n_constants),
          no_lower_(n_constants, -std::numeric_limits<double>::infinity()),
          no_upper_(n_constants, std::numeric_limits<double>::infinity()) {}
    const double* lower(size_t p) const {
        return lower_ ? lower_ + p * n_constants_ : no_lower_.data();
    }
    const double* upper(size_t p) const {
        return upper_ ? upper_ + p * n_constants_ : no_upper_.data();
    }

private:
    const double *lower_, *upper_;
    size_t n_constants_;
    std::vector<double> no_lower_, no_upper_;
};

struct FitOptions {
    int max_iterations;  // steps tried per start
    int n_starts;
    uint64_t key;  // of the random stream that further starts come from
};

// Fits every program of a batch. `constants` (B, K) hold the start and then the result within the
// bounds; equal bounds hold a constant where it is. `mean` (B,) is the mean squared error, or the
// mean `loss` where there is one, NaN where no valid start was found.
//
// Levenberg-Marquardt (Marquardt 1963; damping after Nielsen 1999), deterministic in (program,
// start, options).
void fit_constants(const machine::Batch& batch, const Bounds& bounds, const FitOptions& options,
                   const machine::Loss* loss, double* constants, double* mean);

// Predictions (B, N) and their derivatives in the constants (B, K, N) at the constants of the
// programs; those of a program that is not valid mean nothing. Slots that are not used have 0.
void derive_programs(const machine::Batch& batch, double* values, double* jacobians,
                     bool* is_valid);

}  // namespace dso::fitting
