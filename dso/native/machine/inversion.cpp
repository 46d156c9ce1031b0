#include "machine/inversion.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <type_traits>

#include "machine/vector_math.hpp"

namespace dso {

template <class F>
constexpr bool kIsGiven =
    !std::is_same_v<std::invoke_result_t<F, const Lanes&, const Lanes&>, NoInverse>;

template <class F>
static DSO_INLINE void map(double* out, const double* y, const double* other, size_t n, F f) {
    for (size_t i = 0; i < n; i += kLanes) {
        if constexpr (kIsGiven<F>)
            store(out + i, f(load(y + i), load(other + i)));
        else
            store(out + i, splat(std::numeric_limits<double>::quiet_NaN()));
    }
}

template <class F>
static constexpr bool is_given(F) {
    return kIsGiven<F>;
}

// A column of inverses as a function of y and of the other argument, under the name it has there.
#define INVERSE(expression, other)                                          \
    [](const Lanes& y, const Lanes& other) __attribute__((always_inline)) { \
        (void)y, (void)other;                                               \
        return expression;                                                  \
    }

#define UNARY(name, value, slope, inverse, ...)     \
    case Op::op_##name:                             \
        map(out, y, other, n, INVERSE(inverse, b)); \
        break;
#define BINARY(name, value, slope_a, slope_b, inverse_a, inverse_b, ...) \
    case Op::op_##name:                                                  \
        if (argument == 0)                                               \
            map(out, y, other, n, INVERSE(inverse_a, b));                \
        else                                                             \
            map(out, y, other, n, INVERSE(inverse_b, a));                \
        break;

DSO_CLONES
void invert(Op op, int argument, const double* y, const double* other, double* out, size_t n) {
    using namespace elementary;
    switch (op) {
        DSO_OPERATORS(UNARY, BINARY)
        default:
            std::fill(out, out + n, std::numeric_limits<double>::quiet_NaN());
    }
}

#undef UNARY
#undef BINARY
#define UNARY(name, value, slope, inverse, ...) \
    case Op::op_##name: return argument == 0 && is_given(INVERSE(inverse, b));
#define BINARY(name, value, slope_a, slope_b, inverse_a, inverse_b, ...)   \
    case Op::op_##name:                                                    \
        return argument == 0 ? is_given(INVERSE(inverse_a, b))             \
                             : argument == 1 && is_given(INVERSE(inverse_b, a));

bool has_inverse(Op op, int argument) {
    using namespace elementary;
    switch (op) {
        DSO_OPERATORS(UNARY, BINARY)
        default: return false;
    }
}

void HoledProgram::set(const int16_t* tokens, int32_t length, const double* constants,
                       size_t n_constants) {
    compile(tokens, length, constants, n_constants);
    others_.clear();
    path_.clear();
    is_invertible_ = true;
    std::vector<char> is_above(n_registers_, 0);
    const auto leads_to_hole = [&](int32_t source) { return source < 0 && is_above[~source]; };
    int n_holes = 0;
    for (size_t index = 0; index < code_.size(); ++index) {
        const Instruction& step = code_[index];
        if (step.op == Op::poly) {
            ++n_holes;
            hole_ = step.target;
            hole_index_ = index;
            is_above[step.target] = 1;
            continue;
        }
        const int32_t arity = kArity[static_cast<int32_t>(step.op)];
        const int argument = arity >= 1 && leads_to_hole(step.a)   ? 0
                             : arity == 2 && leads_to_hole(step.b) ? 1
                                                                   : -1;
        if (argument < 0) {
            others_.push_back(step);
            continue;
        }
        is_above[step.target] = 1;
        is_invertible_ &= step.op == Op::less || has_inverse(step.op, argument);
        path_.push_back({step, argument});
    }
    if (n_holes != 1) throw std::invalid_argument("a program needs exactly one token to solve for");
    whole_ = code_;
}

DSO_CLONES
static void keep_branch(const double* checked, double threshold, bool is_first, double* values,
                        size_t n) {
    const Lanes none = splat(std::numeric_limits<double>::quiet_NaN());
    for (size_t i = 0; i < n; i += kLanes) {
        const LaneBits holds = load(checked + i) < threshold;
        const Lanes value = load(values + i);
        store(values + i, is_first ? select(holds, value, none) : select(holds, none, value));
    }
}

void HoledProgram::wanted(size_t row, size_t n, const double* y, double* out) {
    code_ = others_;
    first_failure_ = static_cast<int32_t>(code_.size());
    cause_ = Cause::valid;
    run_tile(row, n, true);
    if (out != y) std::copy(y, y + n, out);
    for (auto step = path_.rbegin(); step != path_.rend(); ++step) {
        const Instruction& at = step->instruction;
        if (at.op == Op::less) {
            keep_branch(data_.column(at.column) + row, at.value, step->argument == 0, out, n);
            continue;
        }
        const bool is_binary = kArity[static_cast<int32_t>(at.op)] == 2;
        const double* other = is_binary ? source(step->argument == 0 ? at.b : at.a, row) : out;
        invert(at.op, step->argument, out, other, out, n);
    }
}

void HoledProgram::fill_hole(const double* hole, size_t row, size_t n) {
    double* values = register_at(hole_);
    std::copy(hole + row, hole + row + n, values);
    const bool is_finite =
        std::all_of(values, values + n, [](double value) { return std::isfinite(value); });
    if (!is_finite && (!is_protected_ || whole_.size() == 1)) fail(hole_index_, row, n);
}

}  // namespace dso
