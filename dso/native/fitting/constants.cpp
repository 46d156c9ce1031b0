#include "fitting/constants.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>

#include "machine/metrics.hpp"
#include "machine/partials.hpp"
#include "machine/vector_math.hpp"
#include "rng.hpp"

namespace dso {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
// In units of the least squared error that is not rounding: below which a fit is exact, and what
// shorter numbers may add.
constexpr double kExactFloors = 1e4, kRoundingFloors = 10;
constexpr int kMostDigits = 12;  // of a number that is called short

DSO_CLONES
static double dot(const double* a, const double* b, size_t n) {
    Lanes total = {};
    for (size_t i = 0; i < n; i += kLanes) total += load(a + i) * load(b + i);
    return sum(total);
}

DifferentiableProgram::DifferentiableProgram(const Library& library, const Columns& data,
                                             const Target& target, bool is_protected)
    : Machine(library, data, is_protected, Values::kept),
      target_(target),
      is_one_tile_(data.n_padded() <= kTile),
      ones_(kTile) {
    std::fill(ones_.data(), ones_.data() + kTile, 1.0);
}

bool DifferentiableProgram::set(const int16_t* tokens, int32_t length) {
    compile(tokens, length, nullptr, 0);
    n_constants_ = next_constant_;
    is_above_constant_.assign(n_registers_, 0);
    above_.clear();
    std::vector<Instruction> others;
    for (const Instruction& step : code_) {
        const int32_t arity = kArity[static_cast<int32_t>(step.op)];
        const bool is_above = step.op == Op::constant || step.op == Op::poly ||
                              (arity >= 1 && is_above_constant(step.a)) ||
                              (arity == 2 && is_above_constant(step.b));
        if (step.op != Op::input) is_above_constant_[step.target] = is_above;
        (is_above ? above_ : others).push_back(step);
    }
    upstream_.assign(n_registers_, nullptr);
    jacobian_.assign(n_constants_, nullptr);
    upstream_storage_.reserve(n_registers_ * kTile);
    scaled_storage_.reserve((n_constants_ + 1) * kTile);
    if (above_.empty()) return true;
    code_.swap(others);
    const bool is_valid =
        code_.empty() || run(false, [](size_t, const double*, size_t) {}).cause == Cause::valid;
    if (is_one_tile_)
        code_ = above_;
    else
        code_.swap(others);
    return is_valid || is_protected_;
}

double DifferentiableProgram::squared_error(const double* constants, double bound,
                                            NormalEquations* equations) {
    for (Instruction& step : code_)
        if (step.op == Op::constant) step.value = constants[step.column];
    if (equations) {
        equations->matrix.assign(n_constants_ * n_constants_, 0);
        equations->gradient.assign(n_constants_, 0);
    }
    double total = 0;
    first_failure_ = static_cast<int32_t>(code_.size());
    cause_ = Cause::valid;
    for (size_t row = 0; row < data_.n_padded(); row += kTile) {
        const size_t n = std::min(kTile, data_.n_padded() - row);
        run_tile(row, n, false);
        if (cause_ != Cause::valid) return kInfinity;
        const double* prediction = source(result_, row);
        total += sum_squared_error(prediction, target_.y + row, target_.weights + row, n);
        if (!(total < bound)) return kInfinity;
        if (equations) add_equations(row, n, prediction, equations);
    }
    return total;
}

// Send derivatives from the root down to the constants, for one tile.
void DifferentiableProgram::sweep(size_t row, size_t n) {
    upstream_[~result_] = ones_.data();
    for (auto step = above_.rbegin(); step != above_.rend(); ++step) {
        const double* upstream = upstream_[step->target];
        if (step->op == Op::constant) {
            jacobian_[step->column] = upstream;
            continue;
        }
        if (step->op == Op::poly) {
            slope_of_polynomial_ = upstream;
            continue;
        }
        const int32_t arity = kArity[static_cast<int32_t>(step->op)];
        double* down[2] = {nullptr, nullptr};
        const int32_t children[2] = {step->a, step->b};
        for (int32_t i = 0; i < arity; ++i) {
            if (!is_above_constant(children[i])) continue;
            const int32_t child = ~children[i];
            const bool passes = step->op == Op::op_add || (step->op == Op::op_sub && i == 0);
            if (!passes) down[i] = upstream_storage_.data() + child * kTile;
            upstream_[child] = passes ? upstream : down[i];
        }
        if (!down[0] && !down[1]) continue;
        if (step->op == Op::less)
            chain_less(upstream, data_.column(step->column) + row, step->value, down[0], down[1],
                       n);
        else
            chain(step->op, upstream, source(step->a, row), source(step->b, row),
                  register_at(step->target), down[0], down[1], n);
    }
}

void DifferentiableProgram::add_equations(size_t row, size_t n, const double* prediction,
                                          NormalEquations* equations) {
    sweep(row, n);
    const double* roots = target_.root_weights + row;
    double* error = scaled_storage_.data() + n_constants_ * kTile;
    scaled_errors(error, prediction, target_.y + row, roots, n);
    for (size_t k = 0; k < n_constants_; ++k) {
        double* column = scaled_storage_.data() + k * kTile;
        scaled_slopes(column, jacobian_[k], roots, n);
        equations->gradient[k] += dot(column, error, n);
        for (size_t l = 0; l <= k; ++l) {
            equations->matrix[k * n_constants_ + l] +=
                dot(column, scaled_storage_.data() + l * kTile, n);
            equations->matrix[l * n_constants_ + k] = equations->matrix[k * n_constants_ + l];
        }
    }
}

namespace {

// The minimisation of one program from one start.
class LevenbergMarquardt {
public:
    LevenbergMarquardt(DifferentiableProgram& program, const double* lower, const double* upper,
                       double floor)
        : program_(program),
          K_(program.n_constants()),
          lower_(lower),
          upper_(upper),
          floor_(floor),
          trial_(K_),
          step_(K_),
          scale_(K_),
          factor_(K_ * K_) {}

    // Returns the squared error at `constants`, which end no worse than they start.
    double minimise(double* constants, int max_iterations) {
        double error = program_.squared_error(constants, kInfinity, K_ ? &here_ : nullptr);
        if (error == kInfinity || K_ == 0) return error;
        double damping = 1e-3, growth = 2;
        std::fill(scale_.begin(), scale_.end(), 0.0);
        for (int i = 0; i < max_iterations && error > floor_; ++i) {
            if (i == 0 || moved_) choose_free(constants);
            if (free_.empty() || is_stationary(error)) break;
            moved_ = false;
            const bool has_step = solve(damping);
            const double predicted = has_step ? take_step(constants) : 0;
            if (has_step && is_rounding(constants)) break;
            const double reached =
                has_step ? program_.squared_error(trial_.data(), error, &there_) : kInfinity;
            if (reached < error) {
                const double ratio = predicted > 0 ? (error - reached) / predicted : 0;
                const bool is_last =
                    error - reached <= kLeastGain * error && predicted <= kLeastGain * error;
                std::copy(trial_.begin(), trial_.end(), constants);
                std::swap(here_, there_);
                error = reached;
                moved_ = true;
                damping = std::max(kLeastDamping, damping * damping_factor(ratio));
                growth = 2;
                if (is_last) break;
            } else {
                if (has_step && predicted <= kEpsilon * error) break;
                damping *= growth;
                growth *= 2;
                if (damping > kMostDamping) break;
            }
        }
        return error;
    }

private:
    static constexpr double kLeastGain = 1e-13, kLeastDamping = 1e-20, kMostDamping = 1e20;

    static double damping_factor(double ratio) {
        const double x = 2 * ratio - 1;
        return std::clamp(1 - x * x * x, 0.1, 2.0);
    }

    // The constants that may move: not those without effect, nor those pushed against a bound.
    void choose_free(const double* constants) {
        free_.clear();
        for (size_t k = 0; k < K_; ++k) {
            const double slope = here_.gradient[k];
            const bool is_blocked = (constants[k] <= lower_[k] && slope >= 0) ||
                                    (constants[k] >= upper_[k] && slope <= 0) ||
                                    !(lower_[k] < upper_[k]);
            const double curvature = here_.matrix[k * K_ + k];
            scale_[k] = std::max(scale_[k], curvature);
            if (!is_blocked && curvature > 0) free_.push_back(k);
        }
    }

    // Whether the errors are orthogonal to what the constants can change.
    bool is_stationary(double error) const {
        return std::all_of(free_.begin(), free_.end(), [&](size_t k) {
            return std::fabs(here_.gradient[k]) <=
                   1e-10 * std::sqrt(here_.matrix[k * K_ + k]) * std::sqrt(error);
        });
    }

    // Cholesky of the damped equations, scaled to a unit diagonal; false where they are singular.
    bool solve(double damping) {
        const size_t n = free_.size();
        const auto root = [&](size_t i) { return std::sqrt(scale_[free_[i]]); };
        for (size_t i = 0; i < n; ++i) {
            for (size_t j = 0; j <= i; ++j) {
                double value = here_.matrix[free_[i] * K_ + free_[j]] / root(i) / root(j);
                if (i == j) value += damping;
                for (size_t m = 0; m < j; ++m) value -= factor_[i * K_ + m] * factor_[j * K_ + m];
                if (i != j) {
                    factor_[i * K_ + j] = value / factor_[j * K_ + j];
                } else {
                    if (!(value > 0)) return false;
                    factor_[i * K_ + i] = std::sqrt(value);
                }
            }
        }
        std::fill(step_.begin(), step_.end(), 0.0);
        std::vector<double>& x = trial_;
        for (size_t i = 0; i < n; ++i) {
            x[i] = -here_.gradient[free_[i]] / root(i);
            for (size_t j = 0; j < i; ++j) x[i] -= factor_[i * K_ + j] * x[j];
            x[i] /= factor_[i * K_ + i];
        }
        for (size_t i = n; i-- > 0;) {
            for (size_t j = i + 1; j < n; ++j) x[i] -= factor_[j * K_ + i] * x[j];
            x[i] /= factor_[i * K_ + i];
        }
        for (size_t i = 0; i < n; ++i) step_[free_[i]] = x[i] / root(i);
        return std::all_of(step_.begin(), step_.end(), [](double s) { return std::isfinite(s); });
    }

    // Set `trial_` to the end of the step within the bounds; returns the gain that it promises.
    double take_step(const double* constants) {
        for (size_t k = 0; k < K_; ++k) {
            trial_[k] = std::min(std::max(constants[k] + step_[k], lower_[k]), upper_[k]);
            step_[k] = trial_[k] - constants[k];
        }
        double gain = 0;
        for (size_t k = 0; k < K_; ++k) {
            double product = 2 * here_.gradient[k];
            for (size_t l = 0; l < K_; ++l) product += here_.matrix[k * K_ + l] * step_[l];
            gain -= step_[k] * product;
        }
        return gain;
    }

    bool is_rounding(const double* constants) const {
        for (size_t k = 0; k < K_; ++k)
            if (std::fabs(step_[k]) > kEpsilon * std::fabs(constants[k])) return false;
        return true;
    }

    DifferentiableProgram& program_;
    const size_t K_;
    const double *lower_, *upper_;
    const double floor_;
    NormalEquations here_, there_;
    std::vector<double> trial_, step_, scale_, factor_;
    std::vector<size_t> free_;
    bool moved_ = false;
};

// A number of its own for each (program, draw, slot): inside finite bounds, else of either sign and
// with sizes from 0.1 to 10 alike.
double random_constant(const FitOptions& options, uint64_t hash, uint32_t draw, uint32_t slot,
                       double lower, double upper) {
    const auto bits = philox(
        {static_cast<uint32_t>(hash), static_cast<uint32_t>(hash >> 32), draw, slot}, options.key);
    const double u = (bits[0] + 0.5) * 0x1p-32;
    if (std::isfinite(lower) && std::isfinite(upper)) return lower + u * (upper - lower);
    const double size = std::pow(10.0, 2 * u - 1);
    return std::min(std::max(bits[1] & 1 ? size : -size, lower), upper);
}

double rounded(double value, int digits) {
    if (digits == 0) return 0;
    char text[32];
    std::snprintf(text, sizeof text, "%.*e", digits - 1, value);
    return std::strtod(text, nullptr);
}

// Where a fit is exact but for rounding, the data say nothing of the last digits: each constant
// becomes the shortest decimal number that fits as well, which is what a reader wants to see.
// Returns the squared error then.
double shorten(DifferentiableProgram& program, const Target& target, const double* lower,
               const double* upper, double* constants, double error) {
    if (error > kExactFloors * target.floor) return error;
    const double limit = error + kRoundingFloors * target.floor;
    for (size_t k = 0; k < program.n_constants(); ++k) {
        const double fitted = constants[k];
        const auto fits = [&](int digits) {
            constants[k] = rounded(fitted, digits);
            const bool is_within = lower[k] <= constants[k] && constants[k] <= upper[k];
            if (is_within && program.squared_error(constants, limit, nullptr) < limit) return true;
            constants[k] = fitted;
            return false;
        };
        // Most numbers are not short; that takes one try to see.
        if (!(lower[k] < upper[k]) || !fits(kMostDigits)) continue;
        int digits = 0;
        while (!fits(digits)) ++digits;
    }
    return program.squared_error(constants, kInfinity, nullptr);
}

constexpr uint32_t kDrawsPerStart = 8;
constexpr int kMoreStarts = 2;  // looked for before an invalid program is given up

}  // namespace

double fit_constants(DifferentiableProgram& program, uint64_t program_hash, const Target& target,
                     const FitOptions& options, const double* lower, const double* upper,
                     double* constants) {
    const size_t K = program.n_constants();
    const auto within = [&](size_t k, double value) {
        return std::min(std::max(value, lower[k]), upper[k]);
    };
    std::vector<double> start(K), candidate(K);
    for (size_t k = 0; k < K; ++k) {
        // One that was never set stands at 1, as in execution.
        if (std::isnan(constants[k])) constants[k] = 1;
        start[k] = candidate[k] = within(k, constants[k]);
    }
    // Errors are cheap beside a fit: a further start is the best of several draws.
    const auto draw_start = [&](int number) {
        double least = kInfinity;
        std::vector<double> drawn(K);
        for (uint32_t i = 0; i < kDrawsPerStart; ++i) {
            for (size_t k = 0; k < K; ++k)
                drawn[k] = lower[k] < upper[k]
                               ? random_constant(options, program_hash, number * kDrawsPerStart + i,
                                                 static_cast<uint32_t>(k), lower[k], upper[k])
                               : start[k];
            const double error = program.squared_error(drawn.data(), least, nullptr);
            if (error < least) {
                least = error;
                candidate = drawn;
            }
        }
        return least < kInfinity;
    };
    LevenbergMarquardt search(program, lower, upper, target.floor);
    double best = kInfinity;
    for (int number = 0; number < options.n_starts + kMoreStarts; ++number) {
        if (best <= target.floor || (number >= options.n_starts && best < kInfinity)) break;
        if (number > 0 && !draw_start(number)) continue;
        const double error = search.minimise(candidate.data(), options.max_iterations);
        if (error < best) {
            best = error;
            std::copy(candidate.begin(), candidate.end(), constants);
        }
    }
    return shorten(program, target, lower, upper, constants, best);
}

}  // namespace dso
