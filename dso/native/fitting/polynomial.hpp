// Fits the polynomial of programs with a token `poly`, and their constants with it.
#pragma once
#include "fitting/constants.hpp"
#include "fitting/polynomial_basis.hpp"
#include "machine/holed_program.hpp"

namespace dso::fitting {

struct PolynomialOptions {
    double coef_tol;    // smaller coefficients are dropped
    int max_steps;      // of the search in the space of y
    double work;        // products spent on it per program while it gains little
    size_t most_terms;  // of a polynomial in the sparse basis
};

// One thread's fitter.
//
//     z = program^-1(y); sparse polynomial equal to z           if there is one: done
//     u = nearest polynomial to z                               if the path can be inverted
//     u = a constant                                            if not, or if that is invalid
//     Levenberg-Marquardt on (u, constants) in the space of y   unless the fit is exact
//
// The steps are solved for by conjugate gradients, since the basis is orthonormal and the
// derivative of the program in its polynomial differs by row at most. All of it is deterministic in
// (tokens, constants, data, options).
class PolynomialFit {
public:
    // `sparse`, if given, has more monomials than `basis`, which are its first ones.
    PolynomialFit(const machine::Library& library, const machine::Columns& data,
                  const machine::Target& target, const PolynomialBasis& basis,
                  const PolynomialBasis* sparse, bool is_protected,
                  const PolynomialOptions& options);

    // `constants` (K,) holds the start and then the result within the bounds. `coefficients` (P,)
    // are those of the monomials. `error` is the sum of squared errors, where the verdict is valid.
    // Without any valid fit the polynomial is 1.
    machine::Verdict fit(const int16_t* tokens, int32_t length, size_t K, const double* lower,
                         const double* upper, double* constants, double* coefficients,
                         double* error);

    // After `fit`: what the polynomial should have been, (N,). Inverted from y where that can be
    // done on every row, else the values of what was fitted.
    const double* wanted() const { return is_inverted_ ? z_.data() : values_.data(); }

private:
    size_t invert_target();
    double start(const double* constants);
    double try_inverse(size_t n_known, const double* constants);
    double try_constant(double value, const double* constants);
    void choose_free(size_t K, const double* lower, const double* upper);
    double improve(double error, size_t K, const double* lower, const double* upper,
                   double* constants);
    void solve(const double* errors, double damping);
    double solve_jointly(double damping);
    double follow(double error);
    void forward(const double* u, double* out) const;
    void backward(const double* rows, double* out) const;
    void to_coefficients(const PolynomialBasis& basis, const double* u, double* coefficients) const;
    bool fit_sparse(double* coefficients, machine::Verdict* verdict, double* error);
    machine::Verdict judge(const double* coefficients, double* error);

    const machine::Columns& data_;
    const machine::Target& target_;
    const PolynomialBasis& basis_;
    const PolynomialBasis* sparse_;
    Monomials monomials_;  // of the larger basis; its scratch is this thread's own
    const PolynomialOptions options_;
    const size_t n_rows_, n_padded_;
    machine::HoledProgram holed_;
    DifferentiableProgram program_;
    bool is_inverted_ = false;
    std::vector<double> u_, trial_u_, beside_u_, sparse_u_;
    std::vector<double> z_, mask_, values_, trial_values_, beside_values_, scaled_;
    std::vector<double> trial_constants_;
    // Of the linear solver: the step sought, directions, residuals.
    std::vector<double> step_, constant_step_, direction_, gradient_, residual_, image_;
    std::vector<size_t> free_;  // constants that may move
    Linearisation here_, there_, beside_;
    double products_ = 0;
};

// What the fits of a batch leave.
struct PolynomialFits {
    double* coefficients;  // (B, P) of the monomials of the larger basis
    double* constants;     // (B, K) the start, and then the result
    double* mse;           // (B,) NaN where there is no valid fit
    machine::Verdicts verdicts;
    double* wanted;  // (B, N) see PolynomialFit::wanted; null where nobody asks
};

// Fits every program of a batch, each with one polynomial. `sparse` may be null.
void fit_polynomials(const machine::Batch& batch, const PolynomialBasis& basis,
                     const PolynomialBasis* sparse, const Bounds& bounds,
                     const PolynomialOptions& options, const PolynomialFits& fits);

}  // namespace dso::fitting
