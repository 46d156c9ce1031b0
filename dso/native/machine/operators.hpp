// The native half of the operator table; dso/library/functions.py is the other, a test compares
// them.
#pragma once
#include <cmath>
#include <cstdint>
#include <limits>

namespace dso::machine {

// Stands where an argument cannot be solved for.
struct NoInverse {};
constexpr NoInverse kNoInverse{};

// Which arguments give the same value as x does: mirror - x, and both moved by whole periods.
struct Branches {
    double period, mirror;
    bool has_period() const { return period > 0; }
    bool has_mirror() const { return !std::isnan(mirror); }
};
constexpr Branches kSingle{0, std::numeric_limits<double>::quiet_NaN()};
constexpr Branches kEven{0, 0};
constexpr Branches periodic(double period) { return {period, kSingle.mirror}; }
constexpr Branches mirrored(double mirror, double period) { return {period, mirror}; }

// THE table, one row per operator:
//
//     UNARY(name, value, slope, inverse, branches, pole)
//     BINARY(name, value, slope in a, slope in b, inverse for a, inverse for b, branches, pole)
//
// value      y = f(a) or f(a, b)
// slope      dy/da or dy/db from a, b and y. Where it jumps it is that of either side.
// inverse    the argument that gives y, from y and the other one: the principal one of several
//            solutions, NaN where there is no real one. Protected operators have the inverse of
//            what they guard.
// branches   the other solutions for a, from b
// pole       whether an infinite value at a, b is a division by zero rather than an overflow
//
// Values, slopes and inverses are written in the functions of dso::elementary (vector_math.hpp),
// which have one overload for lanes and one for numbers: whoever expands these columns includes
// that header, and takes the columns it needs. Poles and branches are conditions on numbers.
// clang-format off
#define DSO_OPERATORS(UNARY, BINARY)                                                              \
    BINARY(add, a + b, 1.0, 1.0, y - b, y - a, kSingle, false)                                    \
    BINARY(sub, a - b, 1.0, -1.0, y + b, a - y, kSingle, false)                                   \
    BINARY(mul, a * b, b, a, y / b, y / a, kSingle, false)                                        \
    BINARY(div, a / b, 1 / b, -y / b, y * b, a / y, kSingle, b == 0)                              \
    UNARY(sin, sin(a), cos(a), asin(y), mirrored(M_PI, 2 * M_PI), false)                          \
    UNARY(cos, cos(a), -sin(a), acos(y), mirrored(0, 2 * M_PI), false)                            \
    UNARY(tan, tan(a), 1 + y * y, atan(y), periodic(M_PI), false)                                 \
    UNARY(exp, exp(a), y, log(y), kSingle, false)                                                 \
    UNARY(log, log(a), 1 / a, exp(y), kSingle, a == 0)                                            \
    UNARY(sqrt, sqrt(a), 0.5 / y, y * y, kSingle, false)                                          \
    UNARY(neg, -a, -1.0, -y, kSingle, false)                                                      \
    UNARY(abs, abs(a), sign(a), abs(y), kEven, false)                                             \
    BINARY(max, max(a, b), select(a > b, 1.0, 0.0), select(a > b, 0.0, 1.0),                      \
           kNoInverse, kNoInverse, kSingle, false)                                                \
    BINARY(min, min(a, b), select(a < b, 1.0, 0.0), select(a < b, 0.0, 1.0),                      \
           kNoInverse, kNoInverse, kSingle, false)                                                \
    UNARY(sign, sign(a), 0.0, kNoInverse, kSingle, false)                                         \
    UNARY(n2, a * a, 2 * a, sqrt(y), kEven, false)                                                \
    UNARY(n3, a * a * a, 3 * (a * a), cbrt(y), kSingle, false)                                    \
    UNARY(n4, (a * a) * (a * a), 4 * (a * a * a), sqrt(sqrt(y)), kEven, false)                    \
    UNARY(arcsin, asin(a), 1 / sqrt((1 - a) * (1 + a)), sin(y), kSingle, false)                   \
    UNARY(arccos, acos(a), -1 / sqrt((1 - a) * (1 + a)), cos(y), kSingle, false)                  \
    UNARY(arctan, atan(a), 1 / (1 + a * a), tan(y), kSingle, false)                               \
    UNARY(tanh, tanh(a), tanh_slope(a), 0.5 * log((1 + y) / (1 - y)), kSingle, false)             \
    UNARY(inv, 1 / a, -y * y, 1 / y, kSingle, a == 0)                                             \
    UNARY(logabs, log(abs(a)), 1 / a, exp(y), kEven, a == 0)                                      \
    UNARY(expneg, exp(-a), -y, -log(y), kSingle, false)                                           \
    UNARY(sigmoid, sigmoid(a), sigmoid_slope(a), log(y / (1 - y)), kSingle, false)                \
    UNARY(harmonic, harmonic(a), trigamma(a), kNoInverse, kSingle, a < 0)                         \
    BINARY(pow, pow(a, b), b * pow(a, b - 1), pow_slope(a, y), pow(y, 1 / b), log(y) / log(a),    \
           std::fmod(b, 2) == 0 ? kEven : kSingle, a == 0)                                        \
    UNARY(sinh, sinh(a), cosh(a), sign(y) * log(abs(y) + sqrt(y * y + 1)), kSingle, false)        \
    UNARY(cosh, cosh(a), sinh(a), log(y + sqrt(y * y - 1)), kEven, false)                         \
    UNARY(cbrt, cbrt(a), 1 / (3 * (y * y)), y * y * y, kSingle, false)                            \
    UNARY(erf, erf(a), M_2_SQRTPI * exp(-a * a), erfinv(y), kSingle, false)                      \
    UNARY(log10, log10(a), M_LOG10E / a, exp(M_LN10 * y), kSingle, a == 0)                        \
    UNARY(log2, log2(a), M_LOG2E / a, exp(M_LN2 * y), kSingle, a == 0)                            \
    UNARY(log1p, log1p(a), 1 / (1 + a), expm1(y), kSingle, a == -1)                               \
    UNARY(arcsinh, asinh(a), 1 / sqrt(a * a + 1), sinh(y), kSingle, false)                        \
    UNARY(arccosh, acosh(a), 1 / sqrt((a - 1) * (a + 1)), cosh(y), kSingle, false)                \
    UNARY(arctanh, atanh(a), 1 / ((1 - a) * (1 + a)), tanh(y), kSingle, a * a == 1)               \
    UNARY(erfc, erfc(a), -M_2_SQRTPI * exp(-a * a), erfinv(1 - y), kSingle, false)                \
    UNARY(gamma, gamma(a), y * digamma(a), kNoInverse, kSingle, a <= 0)                           \
    UNARY(sinc, sinc(a), sinc_slope(a), kNoInverse, kEven, false)                                 \
    UNARY(relu, select(a <= 0, 0.0, a), select(a > 0, 1.0, 0.0),                                  \
           kNoInverse, kSingle, false)                                                            \
    UNARY(round, rint(a), 0.0, kNoInverse, kSingle, false)                                        \
    UNARY(floor, floor(a), 0.0, kNoInverse, kSingle, false)                                       \
    UNARY(ceil, ceil(a), 0.0, kNoInverse, kSingle, false)                                         \
    BINARY(arctan2, atan2(a, b), b / (a * a + b * b), -a / (a * a + b * b),                       \
           kNoInverse, kNoInverse, kSingle, false)                                                \
    BINARY(mod, mod(a, b), 1.0, (y - a) / b, kNoInverse, kNoInverse, kSingle, false)              \
    BINARY(greater, select(a > b, 1.0, 0.0), 0.0, 0.0, kNoInverse, kNoInverse, kSingle, false)    \
    BINARY(greater_equal, select(a >= b, 1.0, 0.0), 0.0, 0.0,                                     \
           kNoInverse, kNoInverse, kSingle, false)                                                \
    BINARY(less, select(a < b, 1.0, 0.0), 0.0, 0.0, kNoInverse, kNoInverse, kSingle, false)       \
    BINARY(less_equal, select(a <= b, 1.0, 0.0), 0.0, 0.0,                                        \
           kNoInverse, kNoInverse, kSingle, false)                                                \
    BINARY(cond, select(a > 0, b, 0.0), 0.0, select(a > 0, 1.0, 0.0),                             \
           kNoInverse, kNoInverse, kSingle, false)                                                \
    BINARY(logical_or, max(select(a > 0, 1.0, 0.0), select(b > 0, 1.0, 0.0)), 0.0, 0.0,           \
           kNoInverse, kNoInverse, kSingle, false)                                                \
    BINARY(logical_and, select(a > 0, 1.0, 0.0) * select(b > 0, 1.0, 0.0), 0.0, 0.0,              \
           kNoInverse, kNoInverse, kSingle, false)                                                \
    BINARY(protected_div, select(abs(b) > 0.001, a / b, 1.0), select(abs(b) > 0.001, 1 / b, 0.0), \
           select(abs(b) > 0.001, -y / b, 0.0), y * b, a / y, kSingle, false)                     \
    UNARY(protected_log, select(abs(a) > 0.001, log(abs(a)), 0.0),                                \
          select(abs(a) > 0.001, 1 / a, 0.0), exp(y), kEven, false)                               \
    UNARY(protected_logabs, select(abs(a) > 0.001, log(abs(a)), 0.0),                             \
          select(abs(a) > 0.001, 1 / a, 0.0), exp(y), kEven, false)                               \
    UNARY(protected_exp, select(a < 100, exp(a), 0.0), y, log(y), kSingle, false)                 \
    UNARY(protected_expneg, select(a > -100, exp(-a), 0.0), -y, -log(y), kSingle, false)          \
    UNARY(protected_sqrt, sqrt(abs(a)), 0.5 * sign(a) / y, y * y, kEven, false)                   \
    UNARY(protected_n2, select(abs(a) < 1e6, a * a, 0.0), select(abs(a) < 1e6, 2 * a, 0.0),       \
          sqrt(y), kEven, false)                                                                  \
    UNARY(protected_n3, select(abs(a) < 1e6, a * a * a, 0.0),                                     \
          select(abs(a) < 1e6, 3 * (a * a), 0.0), cbrt(y), kSingle, false)                        \
    UNARY(protected_n4, select(abs(a) < 1e6, (a * a) * (a * a), 0.0),                             \
          select(abs(a) < 1e6, 4 * (a * a * a), 0.0), sqrt(sqrt(y)), kEven, false)                \
    UNARY(protected_inv, select(abs(a) > 0.001, 1 / a, 0.0), select(abs(a) > 0.001, -y * y, 0.0), \
          1 / y, kSingle, false)                                                                  \
    UNARY(protected_sigmoid, select(a > -100, sigmoid(a), 1.0),                                   \
          select(a > -100, sigmoid_slope(a), 0.0), log(y / (1 - y)), kSingle, false)

enum class Op : int32_t {
    python = -1,  // a user's function: its programs run in the whole-column lane of Python
#define ROW(name, ...) op_##name,
    DSO_OPERATORS(ROW, ROW)
#undef ROW
    less,      // StateChecker: operand column < value ? first child : second child
    input,     // column of the data
    literal,   // a number of the library
    constant,  // a number of the program
    poly,      // a fitted polynomial
    defined,   // a formula of its arguments: see Definition
    count
};

constexpr int kArity[] = {
#define UNARY(...) 1,
#define BINARY(...) 2,
    DSO_OPERATORS(UNARY, BINARY)
#undef UNARY
#undef BINARY
    2, 0, 0, 0, 0, 0};
// clang-format on

constexpr bool is_operator(Op op) { return op > Op::python && op < Op::less; }

// Why a program cannot be used. A lower number wins where one column fails in several ways.
enum class Cause : uint8_t { valid = 0, divide = 1, overflow = 2, invalid = 3 };

inline bool is_pole(Op op, double a, double b) {
    (void)a, (void)b;
    switch (op) {
#define UNARY(name, value, slope, inverse, branches, pole) \
    case Op::op_##name:                                    \
        return pole;
#define BINARY(name, value, slope_a, slope_b, inverse_a, inverse_b, branches, pole) \
    case Op::op_##name:                                                             \
        return pole;
        DSO_OPERATORS(UNARY, BINARY)
#undef UNARY
#undef BINARY
        default:
            return false;
    }
}

// The cause of one non-finite value, from the operands that led to it: an infinity at a pole is a
// division, any other an overflow; NaN is an operation without a value.
inline Cause cause_of(Op op, double a, double b, double result) {
    if (std::isnan(result)) return Cause::invalid;
    return is_pole(op, a, b) ? Cause::divide : Cause::overflow;
}

// Of the first argument; the second one of no operator has others.
inline Branches branches_of(Op op, double b) {
    (void)b;
    switch (op) {
#define UNARY(name, value, slope, inverse, branches, pole) \
    case Op::op_##name:                                    \
        return branches;
#define BINARY(name, value, slope_a, slope_b, inverse_a, inverse_b, branches, pole) \
    case Op::op_##name:                                                             \
        return branches;
        DSO_OPERATORS(UNARY, BINARY)
#undef UNARY
#undef BINARY
        default:
            return kSingle;
    }
}

}  // namespace dso::machine
