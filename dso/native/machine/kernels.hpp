// What each operator computes on eight rows at once, for whoever executes it: X(opcode, value),
// where x and y are the arguments.
#pragma once
#include "machine/operators.hpp"
#include "machine/vector_math.hpp"

#define DSO_BINARY_KERNELS(X) \
    X(op_add, x + y)          \
    X(op_sub, x - y)          \
    X(op_mul, x* y)           \
    X(op_div, x / y)          \
    X(op_max, v_max(x, y))    \
    X(op_min, v_min(x, y))    \
    X(op_pow, v_pow(x, y))    \
    X(op_protected_div, select(v_abs(y) > 0.001, x / y, splat(1)))

#define DSO_UNARY_KERNELS(X)                                                    \
    X(op_sin, v_sin(x))                                                         \
    X(op_cos, v_cos(x))                                                         \
    X(op_tan, v_tan(x))                                                         \
    X(op_exp, v_exp(x))                                                         \
    X(op_log, v_log(x))                                                         \
    X(op_sqrt, v_sqrt(x))                                                       \
    X(op_n2, x* x)                                                              \
    X(op_n3, x * x * x)                                                         \
    X(op_n4, (x * x) * (x * x))                                                 \
    X(op_neg, -x)                                                               \
    X(op_abs, v_abs(x))                                                         \
    X(op_tanh, v_tanh(x))                                                       \
    X(op_inv, 1 / x)                                                            \
    X(op_logabs, v_log(v_abs(x)))                                               \
    X(op_expneg, v_exp(-x))                                                     \
    X(op_sigmoid, v_sigmoid(x))                                                 \
    X(op_harmonic, v_harmonic(x))                                               \
    X(op_arcsin, v_asin(x))                                                     \
    X(op_arccos, v_acos(x))                                                     \
    X(op_arctan, v_atan(x))                                                     \
    X(op_sinh, v_sinh(x))                                                       \
    X(op_cosh, v_cosh(x))                                                       \
    X(op_cbrt, v_cbrt(x))                                                       \
    X(op_sign, v_sign(x))                                                       \
    X(op_protected_log, select(v_abs(x) > 0.001, v_log(v_abs(x)), splat(0)))    \
    X(op_protected_exp, select(x < 100, v_exp(x), splat(0)))                    \
    X(op_protected_sqrt, v_sqrt(v_abs(x)))                                      \
    X(op_protected_n2, select(v_abs(x) < 1e6, x * x, splat(0)))                 \
    X(op_protected_n3, select(v_abs(x) < 1e6, x * x * x, splat(0)))             \
    X(op_protected_n4, select(v_abs(x) < 1e6, (x * x) * (x * x), splat(0)))     \
    X(op_protected_inv, select(v_abs(x) > 0.001, 1 / x, splat(0)))              \
    X(op_protected_logabs, select(v_abs(x) > 0.001, v_log(v_abs(x)), splat(0))) \
    X(op_protected_expneg, select(x > -100, v_exp(-x), splat(0)))               \
    X(op_protected_sigmoid, select(x > -100, v_sigmoid(x), splat(1)))
