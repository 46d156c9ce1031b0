// A program as a function of its constants, and of the polynomial in it, with derivatives.
#pragma once
#include <optional>
#include <vector>

#include "machine/data.hpp"
#include "machine/loss.hpp"
#include "machine/vm.hpp"

namespace dso::fitting {

// J'WJ (full, row by row) and J'We, where J (N, K) holds the derivatives of the predictions in the
// constants and e the errors.
struct NormalEquations {
    std::vector<double> matrix, gradient;
};

// Errors on every row, and their derivatives in the polynomial and in the constants, all scaled by
// the roots of the weights.
struct Linearisation {
    std::vector<double> errors, slopes, jacobian;  // (N), (N), (K, N); N padded
};

// The derivatives of all constants are had in one sweep from the root to the leaves:
//     upstream[root] = 1
//     for node in reversed(postorder): upstream[child] = upstream[node] * d node / d child
//     column k of J = upstream[k-th constant]
// Only nodes above a constant or a polynomial take part; where the data fit into one tile, the
// values of the others are computed once.
class DifferentiableProgram {
public:
    DifferentiableProgram(const machine::Library& library, const machine::Columns& data,
                          const machine::Target& target, bool is_protected,
                          const machine::LossData* loss = nullptr);

    // Whether the program can be valid for any constants at all.
    bool set(const int16_t* tokens, int32_t length);
    size_t n_constants() const { return n_constants_; }

    // The weighted sum of squared errors, or of the losses; infinity where the program is invalid
    // or the sum reaches `bound`. Where it does not, `equations` (may be null) are filled.
    double squared_error(const double* constants, double bound, NormalEquations* equations);

    // The same for a program with a polynomial of values (N, padded).
    double linearise(const double* constants, const double* values, double bound,
                     Linearisation& out);

    // Fills the predictions (N) and their derivatives in the constants (K, N); whether the program
    // is valid.
    bool derive(const double* constants, double* values, double* jacobian);

private:
    template <class Fill, class Use>
    double total_error(const double* constants, double bound, Fill fill, Use use);
    bool is_above_constant(int32_t source) const {
        return source < 0 && is_above_constant_[~source];
    }
    void sweep(size_t row, size_t n);
    void send(const machine::Instruction& step, size_t row, size_t n);
    void receive(int32_t child, const double* upstream, size_t n);
    void add_equations(size_t row, size_t n, const double* prediction, NormalEquations* equations);

    const machine::Columns& data_;
    const machine::Target& target_;
    std::optional<machine::LossOfRows> loss_;  // none: squared errors
    const bool is_protected_, is_one_tile_;
    machine::Machine machine_;
    machine::Steps steps_;  // that depend on the constants, or all
    machine::Steps above_;  // the nodes above (and at) constants and polynomials
    size_t n_constants_ = 0;
    int32_t polynomial_ = 0;               // its register
    std::vector<char> is_above_constant_;  // by register
    std::vector<char> n_readers_;          // by register: 0, 1, 2 for more
    std::vector<const double*> upstream_;  // by register
    std::vector<const double*> jacobian_;  // by constant
    const double* slope_of_polynomial_ = nullptr;
    machine::Buffer upstream_storage_, scaled_storage_, ones_, parts_;
};

}  // namespace dso::fitting
