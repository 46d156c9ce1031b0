#include "fitting/constants.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <stdexcept>
#include <string>

#include "rng.hpp"
#include "threads.hpp"

namespace dso::fitting {

using namespace machine;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
// In units of the least squared error that is not rounding: below which a fit is exact, and what
// shorter numbers may add.
constexpr double kExactFloors = 1e4, kRoundingFloors = 10;
constexpr int kMostDigits = 12;  // of a number that is called short

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
                const bool is_last = error - reached <= kLeastGain * std::fabs(error) &&
                                     predicted <= kLeastGain * std::fabs(error);
                std::copy(trial_.begin(), trial_.end(), constants);
                std::swap(here_, there_);
                error = reached;
                moved_ = true;
                damping = std::max(kLeastDamping, damping * damping_factor(ratio));
                growth = 2;
                if (is_last) break;
            } else {
                if (has_step && predicted <= kEpsilon * std::fabs(error)) break;
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
                   1e-10 * std::sqrt(here_.matrix[k * K_ + k]) * std::sqrt(std::fabs(error));
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
    if (error > kExactFloors * target.floor()) return error;
    const double limit = error + kRoundingFloors * target.floor();
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

constexpr size_t kFitsPerChunk = 8;
// Of a fit, about: how often it runs its program over all rows.
constexpr size_t kRunsPerFit = 64;
constexpr uint32_t kDrawsPerStart = 8;
constexpr int kMoreStarts = 2;  // looked for before an invalid program is given up

// Fits the program that `program` was set to. `constants` (K,) holds the start and then the result.
// Returns the squared error of the result, infinity where no valid start was found.
double fit_one(DifferentiableProgram& program, uint64_t program_hash, const Target& target,
               const FitOptions& options, bool is_squared, const double* lower, const double* upper,
               double* constants) {
    // What is exact but for rounding is known of squared errors only.
    const double floor = is_squared ? target.floor() : -kInfinity;
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
    LevenbergMarquardt search(program, lower, upper, floor);
    double best = kInfinity;
    for (int number = 0; number < options.n_starts + kMoreStarts; ++number) {
        if (best <= floor || (number >= options.n_starts && best < kInfinity)) break;
        if (number > 0 && !draw_start(number)) continue;
        const double error = search.minimise(candidate.data(), options.max_iterations);
        if (error < best) {
            best = error;
            std::copy(candidate.begin(), candidate.end(), constants);
        }
    }
    return is_squared ? shorten(program, target, lower, upper, constants, best) : best;
}

}  // namespace

void fit_constants(const machine::Batch& batch, const Bounds& bounds, const FitOptions& options,
                   const Loss* loss, double* constants, double* mean) {
    const Data& data = batch.data;
    const ProgramView& programs = batch.programs;
    const Target& target = data.required_target();
    check_programs(batch.library, programs, data.columns.n_columns());
    const size_t K = programs.n_constants;
    std::optional<LossData> losses;
    if (loss) losses.emplace(*loss, target);
    const auto chunk_of_programs = [&](size_t, size_t begin, size_t end) {
        DifferentiableProgram program(batch.library, data.columns, target, data.is_protected,
                                      losses ? &*losses : nullptr);
        for (size_t p = begin; p < end; ++p) {
            const bool can_be_valid = program.set(programs.row(p), programs.lengths[p]);
            if (program.n_constants() > K)
                throw std::invalid_argument("start: program " + std::to_string(p) + " has " +
                                            std::to_string(program.n_constants()) + " constants");
            const uint64_t hash = hash_tokens(programs.row(p), programs.lengths[p]);
            const double error = can_be_valid
                                     ? fit_one(program, hash, target, options, !loss,
                                               bounds.lower(p), bounds.upper(p), constants + p * K)
                                     : kInfinity;
            mean[p] = error < kInfinity ? error / target.total_weight()
                                        : std::numeric_limits<double>::quiet_NaN();
        }
    };
    parallel_for(programs.n_programs, batch.n_threads,
                 chunk_size(kFitsPerChunk, kRunsPerFit * data.columns.n_rows()), chunk_of_programs);
}

void derive_programs(const machine::Batch& batch, double* values, double* jacobians,
                     bool* is_valid) {
    const Data& data = batch.data;
    const ProgramView& programs = batch.programs;
    check_programs(batch.library, programs, data.columns.n_columns());
    const size_t K = programs.n_constants, N = data.columns.n_rows();
    std::fill(jacobians, jacobians + programs.n_programs * K * N, 0.0);
    const auto chunk_of_programs = [&](size_t, size_t begin, size_t end) {
        DifferentiableProgram program(batch.library, data.columns, data.required_target(),
                                      data.is_protected);
        for (size_t p = begin; p < end; ++p) {
            const bool can_be_valid = program.set(programs.row(p), programs.lengths[p]);
            if (program.n_constants() > K)
                throw std::invalid_argument("program " + std::to_string(p) + " has " +
                                            std::to_string(program.n_constants()) + " constants");
            is_valid[p] = can_be_valid &&
                          program.derive(programs.slots(p), values + p * N, jacobians + p * K * N);
        }
    };
    parallel_for(programs.n_programs, batch.n_threads, chunk_size(kFitsPerChunk, N),
                 chunk_of_programs);
}

}  // namespace dso::fitting
