#include "machine/partials.hpp"

#include "machine/vector_math.hpp"

namespace dso {

// Trigamma of x + 1, the derivative of `v_harmonic`: the terms of its series, each derived.
static DSO_INLINE Lanes trigamma_above(const Lanes& x) {
    Lanes total = {};
    for (int j = 10; j >= 1; --j) total += 1 / ((x + j) * (x + j));
    constexpr double c[] = {1. / 24, -7. / 960, 31. / 8064, -127. / 30720, 511. / 67584,
                            -1414477. / 67092480};
    const Lanes z = x + 10.5, u = 1 / (z * z);
    Lanes slope = splat(1), power = splat(1);
    for (int k = 1; k <= 6; ++k) {
        power *= u;
        slope -= 2 * k * c[k - 1] * power;
    }
    return total + slope / z;
}
static DSO_INLINE Lanes trigamma(const Lanes& x) {
    const LaneBits is_below = x <= -1;
    const Lanes above = trigamma_above(select(is_below, -x, x));
    const Lanes ratio = M_PI / v_sin(M_PI * (x - v_rint(x)));
    return select(is_below, ratio * ratio - above - 1 / (x * x), above);
}

// Both forms keep their accuracy where 1 - y would cancel.
static DSO_INLINE Lanes sigmoid_slope(const Lanes& x) {
    const Lanes e = v_exp(-v_abs(x));
    return e / ((1 + e) * (1 + e));
}
static DSO_INLINE Lanes tanh_slope(const Lanes& x) { return 4 * sigmoid_slope(2 * x); }

// d(a^b)/db: none where a <= 0, where only some b have a value at all.
static DSO_INLINE Lanes pow_slope(const Lanes& a, const Lanes& y) {
    const LaneBits is_positive = a > 0;
    return select(is_positive, y * v_log(select(is_positive, a, splat(1))), splat(0));
}

template <class F>
static DSO_INLINE void map(double* __restrict out, const double* upstream, const double* a,
                           const double* b, const double* y, size_t n, F f) {
    for (size_t i = 0; i < n; i += kLanes)
        store(out + i, load(upstream + i) * f(load(a + i), load(b + i), load(y + i)));
}

#define LAMBDA(expression)                                                                   \
    [](const Lanes& a, const Lanes& b, const Lanes& y) __attribute__((always_inline)) -> Lanes { \
        (void)a, (void)b, (void)y;                                                           \
        return expression;                                                                   \
    }
#define UNARY(op, slope)                                     \
    case Op::op:                                             \
        if (da) map(da, upstream, a, a, y, n, LAMBDA(slope)); \
        break;
#define BINARY(op, slope_a, slope_b)                           \
    case Op::op:                                               \
        if (da) map(da, upstream, a, b, y, n, LAMBDA(slope_a)); \
        if (db) map(db, upstream, a, b, y, n, LAMBDA(slope_b)); \
        break;

DSO_CLONES
void chain(Op op, const double* upstream, const double* a, const double* b, const double* y,
           double* da, double* db, size_t n) {
    switch (op) {
        BINARY(op_add, splat(1), splat(1))
        BINARY(op_sub, splat(1), splat(-1))
        BINARY(op_mul, b, a)
        BINARY(op_div, 1 / b, -y / b)
        BINARY(op_max, select(a > b, splat(1), splat(0)), select(a > b, splat(0), splat(1)))
        BINARY(op_min, select(a < b, splat(1), splat(0)), select(a < b, splat(0), splat(1)))
        BINARY(op_pow, b * v_pow(a, b - 1), pow_slope(a, y))
        BINARY(op_protected_div, select(v_abs(b) > 0.001, 1 / b, splat(0)),
               select(v_abs(b) > 0.001, -y / b, splat(0)))
        UNARY(op_sin, v_cos(a))
        UNARY(op_cos, -v_sin(a))
        UNARY(op_tan, 1 + y * y)
        UNARY(op_exp, y)
        UNARY(op_log, 1 / a)
        UNARY(op_sqrt, 0.5 / y)
        UNARY(op_n2, 2 * a)
        UNARY(op_n3, 3 * (a * a))
        UNARY(op_n4, 4 * (a * a * a))
        UNARY(op_neg, splat(-1))
        UNARY(op_abs, v_sign(a))
        UNARY(op_tanh, tanh_slope(a))
        UNARY(op_inv, -y * y)
        UNARY(op_logabs, 1 / a)
        UNARY(op_expneg, -y)
        UNARY(op_sigmoid, sigmoid_slope(a))
        UNARY(op_harmonic, trigamma(a))
        UNARY(op_arcsin, 1 / v_sqrt((1 - a) * (1 + a)))
        UNARY(op_arccos, -1 / v_sqrt((1 - a) * (1 + a)))
        UNARY(op_arctan, 1 / (1 + a * a))
        UNARY(op_sinh, v_cosh(a))
        UNARY(op_cosh, v_sinh(a))
        UNARY(op_cbrt, 1 / (3 * (y * y)))
        UNARY(op_sign, splat(0))
        UNARY(op_protected_log, select(v_abs(a) > 0.001, 1 / a, splat(0)))
        UNARY(op_protected_exp, y)
        UNARY(op_protected_sqrt, 0.5 * v_sign(a) / y)
        UNARY(op_protected_n2, select(v_abs(a) < 1e6, 2 * a, splat(0)))
        UNARY(op_protected_n3, select(v_abs(a) < 1e6, 3 * (a * a), splat(0)))
        UNARY(op_protected_n4, select(v_abs(a) < 1e6, 4 * (a * a * a), splat(0)))
        UNARY(op_protected_inv, select(v_abs(a) > 0.001, -y * y, splat(0)))
        UNARY(op_protected_logabs, select(v_abs(a) > 0.001, 1 / a, splat(0)))
        UNARY(op_protected_expneg, -y)
        UNARY(op_protected_sigmoid, select(a > -100, sigmoid_slope(a), splat(0)))
        default: break;  // leaves, and what has its own chain
    }
}

DSO_CLONES
void chain_less(const double* upstream, const double* checked, double threshold, double* da,
                double* db, size_t n) {
    for (size_t i = 0; i < n; i += kLanes) {
        const LaneBits holds = load(checked + i) < threshold;
        const Lanes up = load(upstream + i);
        if (da) store(da + i, select(holds, up, splat(0)));
        if (db) store(db + i, select(holds, splat(0), up));
    }
}

}  // namespace dso
