// Fits the constants of programs to data by least squares.
#pragma once
#include <vector>

#include "machine/vm.hpp"

namespace dso {

// Targets and weights, padded to whole lanes; weights are zero on padding.
struct Target {
    const double* y;
    const double* weights;
    const double* root_weights;
    double total_weight;
    double floor;  // sums of squared errors below this are rounding
};

// J'WJ (full, row by row) and J'We, where J (N, K) holds the derivatives of the predictions in the
// constants and e the errors.
struct NormalEquations {
    std::vector<double> matrix, gradient;
};

// One program as a function of its constants, differentiable in them.
//
// The derivatives of all constants are had in one sweep from the root to the leaves:
//     upstream[root] = 1
//     for node in reversed(postorder): upstream[child] = upstream[node] * d node / d child
//     column k of J = upstream[k-th constant]
// Only nodes above a constant or a polynomial take part; where the data fit into one tile, the
// values of the others are computed once.
class DifferentiableProgram : protected Machine {
public:
    DifferentiableProgram(const Library& library, const Columns& data, const Target& target,
                          bool is_protected);

    // Whether the program can be valid for any constants at all.
    bool set(const int16_t* tokens, int32_t length);
    size_t n_constants() const { return n_constants_; }

    // The weighted sum of squared errors; infinity where the program is invalid or the sum reaches
    // `bound`. Where it does not, `equations` (may be null) are filled.
    double squared_error(const double* constants, double bound, NormalEquations* equations);

protected:
    bool is_above_constant(int32_t source) const {
        return source < 0 && is_above_constant_[~source];
    }
    void sweep(size_t row, size_t n);
    void add_equations(size_t row, size_t n, const double* prediction, NormalEquations* equations);

    const Target& target_;
    const bool is_one_tile_;
    size_t n_constants_ = 0;
    std::vector<char> is_above_constant_;  // by register
    std::vector<Instruction> above_;       // the nodes above (and at) constants
    std::vector<const double*> upstream_;  // by register
    std::vector<const double*> jacobian_;  // by constant
    const double* slope_of_polynomial_ = nullptr;
    Buffer upstream_storage_, scaled_storage_, ones_;
};

struct FitOptions {
    int max_iterations;  // steps tried per start
    int n_starts;
    uint64_t key;  // of the random stream that further starts come from
};

// Fit the program that `program` was set to. `constants` (K,) holds the start and then the result,
// bounded by `lower` and `upper` (K,); equal bounds hold a constant where it is. Returns the
// squared error of the result, infinity where no valid start was found.
//
// Levenberg-Marquardt (Marquardt 1963; damping after Nielsen 1999), deterministic in (program,
// start, options).
double fit_constants(DifferentiableProgram& program, uint64_t program_hash, const Target& target,
                     const FitOptions& options, const double* lower, const double* upper,
                     double* constants);

}  // namespace dso
