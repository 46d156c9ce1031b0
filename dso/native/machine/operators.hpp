// The native half of the operator table; dso/library/functions.py is the other, a test compares them.
#pragma once
#include <cmath>
#include <cstdint>

namespace dso {

// name, arity
#define DSO_OPERATORS(X)                                                                          \
    X(add, 2) X(sub, 2) X(mul, 2) X(div, 2) X(sin, 1) X(cos, 1) X(tan, 1) X(exp, 1) X(log, 1)     \
    X(sqrt, 1) X(n2, 1) X(n3, 1) X(n4, 1) X(neg, 1) X(abs, 1) X(max, 2) X(min, 2) X(tanh, 1)      \
    X(inv, 1) X(logabs, 1) X(expneg, 1) X(sigmoid, 1) X(harmonic, 1) X(pow, 2) X(arcsin, 1)       \
    X(arccos, 1) X(arctan, 1) X(sinh, 1) X(cosh, 1) X(cbrt, 1) X(sign, 1) X(protected_div, 2)     \
    X(protected_log, 1) X(protected_exp, 1) X(protected_sqrt, 1) X(protected_n2, 1)               \
    X(protected_n3, 1) X(protected_n4, 1) X(protected_inv, 1) X(protected_logabs, 1)              \
    X(protected_expneg, 1) X(protected_sigmoid, 1)

enum class Op : int32_t {
    python = -1,  // a user's function: its programs run in the whole-column lane of Python
#define X(name, arity) op_##name,
    DSO_OPERATORS(X)
#undef X
    less,     // StateChecker: operand column < value ? first child : second child
    input,    // column of the data
    literal,  // a number of the library
    constant, // a number of the program
    poly,     // a fitted polynomial
    count
};

constexpr int kArity[] = {
#define X(name, arity) arity,
    DSO_OPERATORS(X)
#undef X
    2, 0, 0, 0, 0};

// Why a program cannot be used. A lower number wins where one column fails in several ways.
enum class Cause : uint8_t { valid = 0, divide = 1, overflow = 2, invalid = 3 };

// The cause of one non-finite value, from the operands that led to it: an infinity at a pole is a
// division, any other an overflow; NaN is an operation without a value.
inline Cause cause_of(Op op, double a, double b, double result) {
    if (std::isnan(result)) return Cause::invalid;
    switch (op) {
        case Op::op_div: return b == 0 ? Cause::divide : Cause::overflow;
        case Op::op_inv:
        case Op::op_log:
        case Op::op_logabs: return a == 0 ? Cause::divide : Cause::overflow;
        case Op::op_pow: return a == 0 ? Cause::divide : Cause::overflow;
        case Op::op_harmonic: return a < 0 ? Cause::divide : Cause::overflow;
        default: return Cause::overflow;
    }
}

}  // namespace dso
