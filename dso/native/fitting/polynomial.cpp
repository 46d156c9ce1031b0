#include "fitting/polynomial.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "machine/metrics.hpp"
#include "machine/vector_math.hpp"
#include "threads.hpp"

namespace dso::fitting {

using namespace machine;

constexpr size_t kFitsPerChunk = 4;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// a += factor * b
DSO_CLONES
static void add(double* a, double factor, const double* b, size_t n) {
    for (size_t i = 0; i < n; i += kLanes) store(a + i, load(a + i) + factor * load(b + i));
}
DSO_CLONES
static void multiply(double* out, const double* a, const double* b, size_t n) {
    for (size_t i = 0; i < n; i += kLanes) store(out + i, load(a + i) * load(b + i));
}
// out (n_rows) = matrix (n_rows, stride) vector
DSO_CLONES
static void times(const double* matrix, const double* vector, double* out, size_t n_rows,
                  size_t stride) {
    size_t n = 0;
    for (; n + 4 <= n_rows; n += 4) {
        const double* row = matrix + n * stride;
        Lanes total[4] = {};
        for (size_t k = 0; k < stride; k += kLanes) {
            const Lanes v = load(vector + k);
            for (int i = 0; i < 4; ++i) total[i] += load(row + i * stride + k) * v;
        }
        for (int i = 0; i < 4; ++i) out[n + i] = sum(total[i]);
    }
    for (; n < n_rows; ++n) {
        Lanes total = {};
        for (size_t k = 0; k < stride; k += kLanes)
            total += load(matrix + n * stride + k) * load(vector + k);
        out[n] = sum(total);
    }
}
// out (stride) = matrix' (stride, n_rows) vector
DSO_CLONES
static void transposed_times(const double* matrix, const double* vector, double* out, size_t n_rows,
                             size_t stride) {
    constexpr size_t width = 4 * kLanes;  // columns in registers at a time
    for (size_t first = 0; first < stride; first += width) {
        const size_t n_lanes = std::min(width, stride - first) / kLanes;
        if (n_lanes == 4) {
            Lanes total[4] = {};
            for (size_t n = 0; n < n_rows; ++n)
                for (size_t i = 0; i < 4; ++i)
                    total[i] += vector[n] * load(matrix + n * stride + first + i * kLanes);
            for (size_t i = 0; i < 4; ++i) store(out + first + i * kLanes, total[i]);
        } else {
            for (size_t i = 0; i < n_lanes; ++i) {
                Lanes total = {};
                for (size_t n = 0; n < n_rows; ++n)
                    total += vector[n] * load(matrix + n * stride + first + i * kLanes);
                store(out + first + i * kLanes, total);
            }
        }
    }
}

// The solution of (matrix + damping * its diagonal) x = right by Gauss-Jordan elimination; 0 where
// that is no number.
static std::vector<double> solved(std::vector<double> matrix, std::vector<double> right,
                                  double damping) {
    const size_t n = right.size();
    for (size_t i = 0; i < n; ++i) {
        double& pivot = matrix[i * n + i];
        pivot = pivot > 0 ? pivot * (1 + damping) : 1;
    }
    for (size_t i = 0; i < n; ++i)
        for (size_t j = 0; j < n; ++j) {
            if (i == j) continue;
            const double factor = matrix[j * n + i] / matrix[i * n + i];
            for (size_t k = i; k < n; ++k) matrix[j * n + k] -= factor * matrix[i * n + k];
            right[j] -= factor * right[i];
        }
    for (size_t i = 0; i < n; ++i) {
        right[i] /= matrix[i * n + i];
        if (!std::isfinite(right[i])) right[i] = 0;
    }
    return right;
}

PolynomialFit::PolynomialFit(const Library& library, const Columns& data, const Target& target,
                             const PolynomialBasis& basis, const PolynomialBasis* sparse,
                             bool is_protected, const PolynomialOptions& options)
    : data_(data),
      target_(target),
      basis_(basis),
      sparse_(sparse),
      monomials_(sparse ? sparse->monomials() : basis.monomials()),
      options_(options),
      n_rows_(data.n_rows()),
      n_padded_(data.n_padded()),
      holed_(library, data, is_protected),
      program_(library, data, target, is_protected) {
    for (auto* rows :
         {&z_, &mask_, &values_, &trial_values_, &beside_values_, &scaled_, &residual_, &image_})
        rows->assign(n_padded_, 0);
    for (auto* u : {&u_, &trial_u_, &beside_u_}) u->assign(basis.stride(), 0);
    if (sparse) sparse_u_.assign(sparse->stride(), 0);
}

void PolynomialFit::forward(const double* u, double* out) const {
    times(basis_.values(), u, out, n_padded_, basis_.stride());
}
void PolynomialFit::backward(const double* rows, double* out) const {
    transposed_times(basis_.values(), rows, out, n_rows_, basis_.stride());
}

// Fill `z_` with what the polynomial would have to be, 0 where that is unknown, and `mask_`.
// Returns the number of rows where it is known.
size_t PolynomialFit::invert_target() {
    size_t n_known = 0;
    if (!holed_.is_invertible()) return 0;
    holed_.wanted(target_.y(), z_.data());
    for (size_t i = 0; i < n_padded_; ++i) {
        const bool is_known = i < n_rows_ && std::fabs(z_[i]) < 1e150;
        if (!is_known) z_[i] = 0;
        mask_[i] = is_known ? target_.root_weights()[i] : 0;
        n_known += is_known;
    }
    return n_known;
}

// Set `u_` and `values_` to the polynomial nearest to `z_` where that is known; returns the error.
double PolynomialFit::try_inverse(size_t n_known, const double* constants) {
    if (n_known < std::min(n_rows_, 2 * basis_.rank() + 1)) return kInfinity;
    if (n_known == n_rows_) {
        multiply(scaled_.data(), z_.data(), target_.weights(), n_padded_);
        backward(scaled_.data(), u_.data());
    } else {
        // Least squares on some of the rows only.
        here_.slopes = mask_;
        multiply(here_.errors.data(), z_.data(), mask_.data(), n_padded_);
        for (double& error : here_.errors) error = -error;
        solve(here_.errors.data(), 1e-14);
        u_ = step_;
    }
    forward(u_.data(), values_.data());
    return program_.linearise(constants, values_.data(), kInfinity, here_);
}

double PolynomialFit::try_constant(double value, const double* constants) {
    std::fill(values_.begin(), values_.end(), value);
    multiply(scaled_.data(), values_.data(), target_.weights(), n_padded_);
    backward(scaled_.data(), u_.data());
    forward(u_.data(), values_.data());
    return program_.linearise(constants, values_.data(), kInfinity, here_);
}

// Set `u_` to where to start from, and `here_` to the derivatives there.
double PolynomialFit::start(const double* constants) {
    here_.errors.assign(n_padded_, 0);
    const size_t n_known = invert_target();
    is_inverted_ = n_known == n_rows_;
    double error = try_inverse(n_known, constants);
    if (error == kInfinity && n_known > 0) {
        double total = 0;
        for (const double z : z_) total += z / static_cast<double>(n_known);
        error = try_constant(total, constants);
    }
    for (const double value : {1.0, 0.1, 10.0, -1.0})
        if (error == kInfinity) error = try_constant(value, constants);
    return error;
}

// The constants that may move.
void PolynomialFit::choose_free(size_t K, const double* lower, const double* upper) {
    free_.clear();
    for (size_t k = 0; k < std::min(K, program_.n_constants()); ++k)
        if (lower[k] < upper[k]) free_.push_back(k);
}

// Conjugate gradients for the damped step (J'J + damping) step = -J' errors in u, where
// J = slopes * values. Leaves -(errors + J step) in `residual_`.
void PolynomialFit::solve(const double* errors, double damping) {
    for (auto* vector : {&step_, &direction_, &gradient_}) vector->assign(basis_.stride(), 0);
    const double* slopes = here_.slopes.data();
    damping *= std::max(dot(slopes, slopes, n_padded_) / target_.total_weight(), 1e-300);
    const auto send_back = [&] {
        multiply(scaled_.data(), residual_.data(), slopes, n_padded_);
        backward(scaled_.data(), gradient_.data());
    };
    for (size_t i = 0; i < n_padded_; ++i) residual_[i] = -errors[i];
    send_back();
    direction_ = gradient_;
    products_ += 1;
    double square = dot(gradient_.data(), gradient_.data(), basis_.stride());
    const double enough = square * (free_.empty() ? 1e-12 : 1e-22);
    const double most = std::max(8.0, options_.work / (2.0 * n_rows_ * basis_.rank()));
    const size_t n_steps = std::min<size_t>(2 * basis_.rank() + 8, static_cast<size_t>(most));
    for (size_t i = 0; i < n_steps && square > enough; ++i) {
        forward(direction_.data(), image_.data());
        multiply(image_.data(), image_.data(), slopes, n_padded_);
        const double curvature =
            dot(image_.data(), image_.data(), n_padded_) +
            damping * dot(direction_.data(), direction_.data(), basis_.stride());
        products_ += 2;
        if (!(curvature > 0) || !std::isfinite(curvature)) break;
        const double length = square / curvature;
        add(step_.data(), length, direction_.data(), basis_.stride());
        add(residual_.data(), -length, image_.data(), n_padded_);
        send_back();
        add(gradient_.data(), -damping, step_.data(), basis_.stride());
        const double next = dot(gradient_.data(), gradient_.data(), basis_.stride());
        const double ratio = next / square;
        square = next;
        for (size_t k = 0; k < basis_.stride(); ++k)
            direction_[k] = gradient_[k] + ratio * direction_[k];
    }
}

// Set `step_` in u and `constant_step_`; returns the squared error that the linear model promises.
//
// Variable projection (Golub and Pereyra 1973, in Kaufman's form): what the polynomial can make up
// for is taken out of errors and derivatives, and the constants are left with a problem of their
// own.
double PolynomialFit::solve_jointly(double damping) {
    const size_t F = free_.size();
    constant_step_.assign(F, 0);
    if (F == 0) {
        solve(here_.errors.data(), damping);
        return dot(residual_.data(), residual_.data(), n_padded_);
    }
    std::vector<std::vector<double>> columns, steps;
    for (size_t f = 0; f < F; ++f) {
        solve(here_.jacobian.data() + free_[f] * n_padded_, 1e-14);
        columns.push_back(residual_);  // minus the projected derivatives
        steps.push_back(step_);
    }
    solve(here_.errors.data(), 1e-14);
    std::vector<double> matrix(F * F), right(F);
    for (size_t f = 0; f < F; ++f) {
        for (size_t g = 0; g < F; ++g)
            matrix[f * F + g] = dot(columns[f].data(), columns[g].data(), n_padded_);
        right[f] = -dot(columns[f].data(), residual_.data(), n_padded_);
    }
    constant_step_ = solved(matrix, right, damping);
    for (size_t f = 0; f < F; ++f) {
        add(residual_.data(), constant_step_[f], columns[f].data(), n_padded_);
        add(step_.data(), constant_step_[f], steps[f].data(), basis_.stride());
    }
    return dot(residual_.data(), residual_.data(), n_padded_);
}

// With new constants another polynomial is best. To take it at once, before the trial is judged,
// leads around the bends of the narrow valleys in which constants and polynomial stand for each
// other. Changes the trial where that lowers its error, which it returns.
double PolynomialFit::follow(double error) {
    std::swap(here_, there_);
    solve(here_.errors.data(), 1e-14);
    std::copy(trial_u_.begin(), trial_u_.end(), beside_u_.begin());
    add(beside_u_.data(), 1, step_.data(), basis_.stride());
    forward(beside_u_.data(), beside_values_.data());
    const double reached =
        program_.linearise(trial_constants_.data(), beside_values_.data(), error, beside_);
    std::swap(here_, there_);
    if (!(reached < error)) return error;
    std::swap(there_, beside_);
    trial_u_.swap(beside_u_);
    trial_values_.swap(beside_values_);
    return reached;
}

// Levenberg-Marquardt in the space of y from `u_`, `constants` and `here_`.
double PolynomialFit::improve(double error, size_t K, const double* lower, const double* upper,
                              double* constants) {
    // Beside constants there are few programs, and each step takes several solutions.
    const double work = free_.empty() ? options_.work : 20 * options_.work;
    const double most = std::max(16.0, work / (1.0 * n_rows_ * basis_.rank()));
    double damping = 1e-4, growth = 2;
    trial_constants_.assign(K, 0);
    products_ = 0;
    for (int i = 0; i < options_.max_steps && error > target_.floor(); ++i) {
        const double promised = solve_jointly(damping);
        if (!(error - promised > 1e-12 * error)) break;
        std::copy(u_.begin(), u_.end(), trial_u_.begin());
        add(trial_u_.data(), 1, step_.data(), basis_.stride());
        std::copy(constants, constants + K, trial_constants_.begin());
        for (size_t f = 0; f < free_.size(); ++f) {
            const size_t k = free_[f];
            const double moved = constants[k] + constant_step_[f];
            trial_constants_[k] = std::min(std::max(moved, lower[k]), upper[k]);
        }
        forward(trial_u_.data(), trial_values_.data());
        products_ += 1;
        double reached = program_.linearise(trial_constants_.data(), trial_values_.data(),
                                            free_.empty() ? error : kInfinity, there_);
        if (!free_.empty() && reached < kInfinity) reached = follow(reached);
        if (reached < error) {
            const double gain = (error - reached) / (error - promised);
            const double x = 2 * gain - 1;
            damping = std::max(1e-14, damping * std::min(2.0, std::max(0.01, 1 - x * x * x)));
            growth = 2;
            const double left = reached / error;
            std::swap(here_, there_);
            u_.swap(trial_u_);
            values_.swap(trial_values_);
            std::copy(trial_constants_.begin(), trial_constants_.end(), constants);
            error = reached;
            // What gains a lot is on its way to an exact fit, and worth any work.
            if (left > 1 - 1e-9 || (left > 0.1 && products_ > most)) break;
        } else {
            damping *= growth * 10;
            growth *= 2;
            if (damping > 1e12 || products_ > most) break;
        }
    }
    return error;
}

void PolynomialFit::to_coefficients(const PolynomialBasis& basis, const double* u,
                                    double* coefficients) const {
    const size_t n_terms = basis.monomials().size();
    times(basis.to_monomials(), u, coefficients, n_terms, basis.stride());
    std::fill(coefficients + n_terms, coefficients + monomials_.size(), 0.0);
    // Terms far below the rounding of others are rounding themselves.
    double largest = 0;
    for (size_t k = 0; k < n_terms; ++k)
        largest = std::max(largest, std::fabs(coefficients[k]) * basis.sizes()[k]);
    for (size_t k = 0; k < n_terms; ++k)
        if (std::fabs(coefficients[k]) < options_.coef_tol ||
            std::fabs(coefficients[k]) * basis.sizes()[k] <= 1e-13 * largest)
            coefficients[k] = 0;
}

// Whether `z_` is a polynomial of few terms.
bool PolynomialFit::fit_sparse(double* coefficients, Verdict* verdict, double* error) {
    if (!sparse_ || !is_inverted_) return false;
    multiply(scaled_.data(), z_.data(), target_.weights(), n_padded_);
    transposed_times(sparse_->values(), scaled_.data(), sparse_u_.data(), n_rows_,
                     sparse_->stride());
    const double whole = dot(scaled_.data(), z_.data(), n_padded_);
    const double explained = dot(sparse_u_.data(), sparse_u_.data(), sparse_->stride());
    // With errors of any size no coefficient is zero.
    if (!(std::fabs(whole - explained) <= 1e-9 * whole)) return false;
    to_coefficients(*sparse_, sparse_u_.data(), coefficients);
    const auto n_zero =
        static_cast<size_t>(std::count(coefficients, coefficients + monomials_.size(), 0.0));
    if (monomials_.size() - n_zero > options_.most_terms) return false;
    *verdict = judge(coefficients, error);
    return verdict->cause == Cause::valid && std::isfinite(*error);
}

// Execute the program as it will be from now on, with the monomials.
Verdict PolynomialFit::judge(const double* coefficients, double* error) {
    monomials_.values(coefficients, data_, 0, n_padded_, scaled_.data());
    double total = 0;
    const Verdict verdict = holed_.run(
        scaled_.data(), Rest::located, [&](size_t row, const double* prediction, size_t n) {
            total += sum_squared_error(prediction, target_.y() + row, target_.weights() + row, n);
        });
    *error = total;
    return verdict;
}

Verdict PolynomialFit::fit(const int16_t* tokens, int32_t length, size_t K, const double* lower,
                           const double* upper, double* constants, double* coefficients,
                           double* error) {
    for (size_t k = 0; k < K; ++k) {
        const double value = std::isnan(constants[k]) ? 1 : constants[k];
        constants[k] = std::min(std::max(value, lower[k]), upper[k]);
    }
    holed_.set(tokens, length, constants, K);
    const bool can_be_valid = program_.set(tokens, length);
    if (program_.n_constants() > K)
        throw std::invalid_argument("start: a program has " +
                                    std::to_string(program_.n_constants()) + " constants");
    choose_free(K, lower, upper);
    double reached = can_be_valid ? start(constants) : kInfinity;
    if (reached < kInfinity) {
        Verdict of_sparse;
        if (reached > target_.floor() && fit_sparse(coefficients, &of_sparse, error) &&
            *error < reached)
            return of_sparse;
        const std::vector<double> first_u = u_;
        const std::vector<double> first_constants(constants, constants + K);
        const double first = reached;
        if (reached > target_.floor()) reached = improve(reached, K, lower, upper, constants);
        to_coefficients(basis_, u_.data(), coefficients);
        holed_.set(tokens, length, constants, K);
        const Verdict verdict = judge(coefficients, error);
        if (verdict.cause == Cause::valid && (*error <= first || reached == first)) return verdict;
        // The way back: the coefficients that were dropped mattered.
        to_coefficients(basis_, first_u.data(), coefficients);
        std::copy(first_constants.begin(), first_constants.end(), constants);
        holed_.set(tokens, length, constants, K);
        const Verdict again = judge(coefficients, error);
        if (again.cause == Cause::valid && std::isfinite(*error)) return again;
    }
    is_inverted_ = false;
    std::fill(coefficients, coefficients + monomials_.size(), 0.0);
    std::fill(values_.begin(), values_.end(), 1.0);
    coefficients[0] = 1;
    holed_.set(tokens, length, constants, K);
    return judge(coefficients, error);
}

void fit_polynomials(const machine::Batch& batch, const PolynomialBasis& basis,
                     const PolynomialBasis* sparse, const Bounds& bounds,
                     const PolynomialOptions& options, const PolynomialFits& fits) {
    const Data& data = batch.data;
    const ProgramView& programs = batch.programs;
    const Target& target = data.required_target();
    check_programs(batch.library, programs, data.columns.n_columns(), Polynomials::allowed);
    const size_t K = programs.n_constants, N = data.columns.n_rows();
    if (basis.n_rows() != N || (sparse && sparse->n_rows() != N))
        throw std::invalid_argument("basis: of other rows than X");
    if (sparse && sparse->monomials().size() < basis.monomials().size())
        throw std::invalid_argument("sparse_basis: fewer monomials than the basis");
    const size_t P = (sparse ? *sparse : basis).monomials().size();
    const auto chunk_of_programs = [&](size_t, size_t begin, size_t end) {
        PolynomialFit fitter(batch.library, data.columns, target, basis, sparse, data.is_protected,
                             options);
        for (size_t p = begin; p < end; ++p) {
            double error = 0;
            const Verdict verdict = fitter.fit(
                programs.row(p), programs.lengths[p], K, bounds.lower(p), bounds.upper(p),
                fits.constants + p * K, fits.coefficients + p * P, &error);
            fits.verdicts.set(p, verdict);
            fits.mse[p] = verdict.cause == Cause::valid ? error / target.total_weight()
                                                        : std::numeric_limits<double>::quiet_NaN();
            if (fits.wanted) std::copy_n(fitter.wanted(), N, fits.wanted + p * N);
        }
    };
    parallel_for(programs.n_programs, batch.n_threads, kFitsPerChunk, chunk_of_programs);
}

}  // namespace dso::fitting
