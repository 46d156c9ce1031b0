#include "machine/inversion.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "machine/vector_math.hpp"

namespace dso {

template <class F>
static DSO_INLINE void map(double* out, const double* y, const double* other, size_t n, F f) {
    for (size_t i = 0; i < n; i += kLanes) store(out + i, f(load(y + i), load(other + i)));
}

#define LAMBDA(expression)                                                       \
    [](const Lanes& y, const Lanes& b) __attribute__((always_inline)) -> Lanes { \
        (void)b;                                                                 \
        return expression;                                                       \
    }
// The inverse in y and the other argument b, for the first and for the second argument.
#define UNARY(op, inverse)                      \
    case Op::op:                                \
        map(out, y, other, n, LAMBDA(inverse)); \
        break;
#define BINARY(op, inverse_a, inverse_b)              \
    case Op::op:                                      \
        if (argument == 0)                            \
            map(out, y, other, n, LAMBDA(inverse_a)); \
        else                                          \
            map(out, y, other, n, LAMBDA(inverse_b)); \
        break;

DSO_CLONES
void invert(Op op, int argument, const double* y, const double* other, double* out, size_t n) {
    switch (op) {
        BINARY(op_add, y - b, y - b)
        BINARY(op_sub, y + b, b - y)
        BINARY(op_mul, y / b, y / b)
        BINARY(op_div, y * b, b / y)
        BINARY(op_protected_div, y * b, b / y)
        BINARY(op_pow, v_pow(y, 1 / b), v_log(y) / v_log(b))
        UNARY(op_sin, v_asin(y))
        UNARY(op_cos, v_acos(y))
        UNARY(op_tan, v_atan(y))
        UNARY(op_exp, v_log(y))
        UNARY(op_log, v_exp(y))
        UNARY(op_sqrt, y * y)
        UNARY(op_n2, v_sqrt(y))
        UNARY(op_n3, v_cbrt(y))
        UNARY(op_n4, v_sqrt(v_sqrt(y)))
        UNARY(op_neg, -y)
        UNARY(op_abs, v_abs(y))
        UNARY(op_tanh, 0.5 * v_log((1 + y) / (1 - y)))
        UNARY(op_inv, 1 / y)
        UNARY(op_logabs, v_exp(y))
        UNARY(op_expneg, -v_log(y))
        UNARY(op_sigmoid, v_log(y / (1 - y)))
        UNARY(op_arcsin, v_sin(y))
        UNARY(op_arccos, v_cos(y))
        UNARY(op_arctan, v_tan(y))
        UNARY(op_sinh, v_sign(y) * v_log(v_abs(y) + v_sqrt(y * y + 1)))
        UNARY(op_cosh, v_log(y + v_sqrt(y * y - 1)))
        UNARY(op_cbrt, y * y * y)
        UNARY(op_protected_log, v_exp(y))
        UNARY(op_protected_exp, v_log(y))
        UNARY(op_protected_sqrt, y * y)
        UNARY(op_protected_n2, v_sqrt(y))
        UNARY(op_protected_n3, v_cbrt(y))
        UNARY(op_protected_n4, v_sqrt(v_sqrt(y)))
        UNARY(op_protected_inv, 1 / y)
        UNARY(op_protected_logabs, v_exp(y))
        UNARY(op_protected_expneg, -v_log(y))
        UNARY(op_protected_sigmoid, v_log(y / (1 - y)))
        default:
            std::fill(out, out + n, std::numeric_limits<double>::quiet_NaN());
    }
}

bool has_inverse(Op op, int argument) {
    switch (op) {
        case Op::op_max:
        case Op::op_min:
        case Op::op_harmonic:
        case Op::op_sign:
            return false;
        default:
            return op > Op::python && op < Op::less && argument < kArity[static_cast<int32_t>(op)];
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
