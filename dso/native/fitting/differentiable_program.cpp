#include "fitting/differentiable_program.hpp"

#include <algorithm>
#include <limits>

#include "machine/metrics.hpp"
#include "machine/partials.hpp"

namespace dso::fitting {

using namespace machine;

static void no_fill(size_t, size_t) {}

DifferentiableProgram::DifferentiableProgram(const Library& library, const Columns& data,
                                             const Target& target, bool is_protected,
                                             const LossData* loss)
    : data_(data),
      target_(target),
      is_protected_(is_protected),
      is_one_tile_(data.n_padded() <= kTile),
      machine_(library, data, is_protected, Values::kept),
      ones_(kTile),
      parts_(2 * kTile) {
    if (loss) loss_.emplace(*loss);
    std::fill(ones_.data(), ones_.data() + kTile, 1.0);
}

bool DifferentiableProgram::set(const int16_t* tokens, int32_t length) {
    machine_.compile(tokens, length, nullptr, 0);
    const Code& code = machine_.code();
    n_constants_ = code.n_constants;
    is_above_constant_.assign(code.n_registers, 0);
    n_readers_.assign(code.n_registers, 0);
    above_.clear();
    Steps others;
    for (const Instruction& step : code.steps) {
        const int32_t arity = kArity[static_cast<int32_t>(step.op)];
        const bool is_above = step.op == Op::constant || step.op == Op::poly ||
                              (arity >= 1 && is_above_constant(step.a)) ||
                              (arity == 2 && is_above_constant(step.b));
        if (step.op != Op::input) is_above_constant_[step.target] = is_above;
        const int32_t children[2] = {step.a, step.b};
        for (int32_t i = 0; i < arity; ++i)
            if (children[i] < 0) n_readers_[~children[i]] = n_readers_[~children[i]] ? 2 : 1;
        if (step.op == Op::poly) polynomial_ = step.target;
        (is_above ? above_ : others).push_back(step);
    }
    upstream_.assign(code.n_registers, nullptr);
    jacobian_.assign(n_constants_, nullptr);
    upstream_storage_.reserve(code.n_registers * kTile);
    scaled_storage_.reserve((n_constants_ + 2) * kTile);
    const bool is_once = is_one_tile_ && !above_.empty();
    steps_ = is_once ? above_ : code.steps;
    if (above_.empty() || others.empty()) return true;
    const auto no_use = [](size_t, const double*, size_t) {};
    const Verdict verdict = machine_.run(others, Rest::left, no_fill, no_use);
    return verdict.cause == Cause::valid || is_protected_;
}

// Runs the program and calls use(first row, prediction, rows) for each tile, unless the program
// turns out to be invalid or the error too large.
template <class Fill, class Use>
double DifferentiableProgram::total_error(const double* constants, double bound, Fill fill,
                                          Use use) {
    for (Instruction& step : steps_)
        if (step.op == Op::constant) step.value = constants[step.column];
    double total = 0;
    bool is_below = true;
    const auto add_tile = [&](size_t row, const double* prediction, size_t n) {
        total += loss_
                     ? loss_->sum(prediction, row, n)
                     : sum_squared_error(prediction, target_.y() + row, target_.weights() + row, n);
        is_below = loss_ || total < bound;  // of losses some rows may be negative
        if (is_below) use(row, prediction, n);
        return is_below;
    };
    const Verdict verdict = machine_.run(steps_, Rest::left, fill, add_tile);
    return verdict.cause == Cause::valid && total < bound ? total
                                                          : std::numeric_limits<double>::infinity();
}

double DifferentiableProgram::squared_error(const double* constants, double bound,
                                            NormalEquations* equations) {
    if (equations) {
        equations->matrix.assign(n_constants_ * n_constants_, 0);
        equations->gradient.assign(n_constants_, 0);
    }
    return total_error(constants, bound, no_fill,
                       [&](size_t row, const double* prediction, size_t n) {
                           if (equations) add_equations(row, n, prediction, equations);
                       });
}

double DifferentiableProgram::linearise(const double* constants, const double* values, double bound,
                                        Linearisation& out) {
    const size_t n_padded = data_.n_padded();
    out.errors.resize(n_padded);
    out.slopes.resize(n_padded);
    out.jacobian.resize(n_constants_ * n_padded);
    const auto fill = [&](size_t row, size_t n) {
        std::copy(values + row, values + row + n, machine_.register_at(polynomial_));
    };
    return total_error(constants, bound, fill, [&](size_t row, const double* prediction, size_t n) {
        sweep(row, n);
        const double* roots = target_.root_weights() + row;
        scaled_errors(out.errors.data() + row, prediction, target_.y() + row, roots, n);
        scaled_slopes(out.slopes.data() + row, slope_of_polynomial_, roots, n);
        for (size_t k = 0; k < n_constants_; ++k)
            scaled_slopes(out.jacobian.data() + k * n_padded + row, jacobian_[k], roots, n);
    });
}

bool DifferentiableProgram::derive(const double* constants, double* values, double* jacobian) {
    const size_t n_rows = data_.n_rows();
    const auto keep = [&](size_t row, const double* prediction, size_t n) {
        const size_t used = std::min(n, n_rows - row);
        std::copy(prediction, prediction + used, values + row);
        if (n_constants_ > 0) sweep(row, n);
        for (size_t k = 0; k < n_constants_; ++k)
            std::copy(jacobian_[k], jacobian_[k] + used, jacobian + k * n_rows + row);
    };
    constexpr double infinity = std::numeric_limits<double>::infinity();
    return total_error(constants, infinity, no_fill, keep) < infinity;
}

// Send derivatives from the root down to the constants, for one tile.
void DifferentiableProgram::sweep(size_t row, size_t n) {
    std::fill(upstream_.begin(), upstream_.end(), nullptr);
    upstream_[~machine_.code().result] = ones_.data();
    for (auto step = above_.rbegin(); step != above_.rend(); ++step) {
        if (step->op == Op::constant)
            jacobian_[step->column] = upstream_[step->target];
        else if (step->op == Op::poly)
            slope_of_polynomial_ = upstream_[step->target];
        else
            send(*step, row, n);
    }
}

// Send the derivatives of one step on to those of its arguments that move.
void DifferentiableProgram::send(const Instruction& step, size_t row, size_t n) {
    const double* upstream = upstream_[step.target];
    const int32_t arity = kArity[static_cast<int32_t>(step.op)];
    double* down[2] = {nullptr, nullptr};
    const int32_t children[2] = {step.a, step.b};
    for (int32_t i = 0; i < arity; ++i) {
        if (!is_above_constant(children[i])) continue;
        const int32_t child = ~children[i];
        if (n_readers_[child] > 1) {
            down[i] = parts_.data() + i * kTile;
            continue;
        }
        const bool passes = step.op == Op::op_add || (step.op == Op::op_sub && i == 0);
        if (!passes) down[i] = upstream_storage_.data() + child * kTile;
        upstream_[child] = passes ? upstream : down[i];
    }
    if (!down[0] && !down[1]) return;
    if (step.op == Op::less)
        chain_less(upstream, data_.column(step.column, row), step.value, down[0], down[1], n);
    else
        chain(step.op, upstream, machine_.source(step.a, row), machine_.source(step.b, row),
              machine_.register_at(step.target), down[0], down[1], n);
    for (int32_t i = 0; i < arity; ++i)
        if (down[i] == parts_.data() + i * kTile) receive(~children[i], down[i], n);
}

// Add to the derivatives in a register that several steps read: the argument of a definition.
void DifferentiableProgram::receive(int32_t child, const double* part, size_t n) {
    double* total = upstream_storage_.data() + child * kTile;
    if (upstream_[child])
        add(total, part, n);
    else
        std::copy(part, part + n, total);
    upstream_[child] = total;
}

void DifferentiableProgram::add_equations(size_t row, size_t n, const double* prediction,
                                          NormalEquations* equations) {
    sweep(row, n);
    const double* roots = target_.root_weights() + row;
    double* error = scaled_storage_.data() + n_constants_ * kTile;
    if (loss_) {
        double* own_roots = error + kTile;
        loss_->linearise(prediction, row, n, own_roots, error);
        roots = own_roots;
    } else {
        scaled_errors(error, prediction, target_.y() + row, roots, n);
    }
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

}  // namespace dso::fitting
