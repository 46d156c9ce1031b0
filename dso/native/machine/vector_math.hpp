// Arithmetic on eight rows at once, and the elementary functions that the operator table is
// written in.
//
// Every function maps lanes to lanes, and those of values map numbers to numbers too, for programs
// of one observation. Rows are always padded to whole lanes, so a row's result depends neither on
// its neighbours nor on where it stands. With glibc on x86-64 the functions marked DSO_SIMD run in
// its vector library: gcc replaces the loop in `each` by one call. Elsewhere (or built with
// DSO_NO_VECTOR_MATH) the same loops call the scalar library.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "compiler.hpp"

// Worst errors found over random bit patterns, denormals, huge arguments and the neighbourhoods of
// special points (glibc 2.36; the SSE2, AVX2 and AVX-512 variants together), in ULP: sin 3.5,
// cos 3.7, tan 3.2, exp 2.9, log 1.6, tanh 2.2, sinh 1.9, cosh 1.9, asin 2.8, acos 1.9, atan 2.4,
// cbrt 3.2, log1p 1.8, erf 1.9, erfc 1.5, pow 1.1.
#if DSO_VECTOR_MATH
#define DSO_SIMD __attribute__((simd("notinbranch")))
extern "C" {
DSO_SIMD double sin(double) noexcept;
DSO_SIMD double cos(double) noexcept;
DSO_SIMD double exp(double) noexcept;
DSO_SIMD double log(double) noexcept;
DSO_SIMD double pow(double, double) noexcept;
#if __GLIBC_PREREQ(2, 35)
DSO_SIMD double tan(double) noexcept;
DSO_SIMD double tanh(double) noexcept;
DSO_SIMD double sinh(double) noexcept;
DSO_SIMD double cosh(double) noexcept;
DSO_SIMD double asin(double) noexcept;
DSO_SIMD double acos(double) noexcept;
DSO_SIMD double atan(double) noexcept;
DSO_SIMD double cbrt(double) noexcept;
DSO_SIMD double log1p(double) noexcept;
DSO_SIMD double erf(double) noexcept;
DSO_SIMD double erfc(double) noexcept;
DSO_SIMD double log10(double) noexcept;
DSO_SIMD double log2(double) noexcept;
DSO_SIMD double expm1(double) noexcept;
DSO_SIMD double asinh(double) noexcept;
DSO_SIMD double acosh(double) noexcept;
DSO_SIMD double atanh(double) noexcept;
DSO_SIMD double atan2(double, double) noexcept;
#endif
}
#endif

// Everything that passes lanes by value is inlined, so no calling convention is involved.
#pragma GCC diagnostic ignored "-Wpsabi"

namespace dso::machine {

constexpr size_t kLanes = 8;
typedef double Lanes __attribute__((vector_size(64)));
typedef int64_t LaneBits __attribute__((vector_size(64)));

inline size_t padded(size_t n_rows) { return (n_rows + kLanes - 1) / kLanes * kLanes; }

DSO_INLINE Lanes load(const double* p) {
    Lanes x;
    std::memcpy(&x, p, sizeof x);
    return x;
}
DSO_INLINE void store(double* p, const Lanes& x) { std::memcpy(p, &x, sizeof x); }

DSO_INLINE LaneBits bits_of(const Lanes& x) { return (LaneBits)x; }
DSO_INLINE Lanes from_bits(const LaneBits& x) { return (Lanes)x; }
DSO_INLINE Lanes splat(double value) { return Lanes{} + value; }
DSO_INLINE Lanes lanes(const Lanes& x) { return x; }
DSO_INLINE Lanes lanes(double x) { return splat(x); }
template <class Yes, class No>
DSO_INLINE Lanes select(const LaneBits& mask, const Yes& yes, const No& no) {
    return mask ? lanes(yes) : lanes(no);
}
DSO_INLINE double select(bool mask, double yes, double no) { return mask ? yes : no; }

// The sign bit of a lane is set where its value is not finite. Integer arithmetic: an exponent of
// all ones carries into the sign.
DSO_INLINE LaneBits not_finite(const Lanes& x) {
    return (bits_of(x) & 0x7ff0000000000000ll) + 0x0010000000000000ll;
}
DSO_INLINE bool any_sign(const LaneBits& x) {
    int64_t joined = 0;
    for (size_t j = 0; j < kLanes; ++j) joined |= x[j];
    return joined < 0;
}
// Always in the same tree.
DSO_INLINE double sum(const Lanes& x) {
    return ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7]));
}

// The loop must stay a loop: gcc turns it into one call of the vector function, and would call the
// scalar one eight times if it were unrolled first.
template <class F>
DSO_INLINE Lanes each(const Lanes& x, F f) {
    alignas(64) double in[kLanes], out[kLanes];
    store(in, x);
#pragma GCC unroll 1
    for (size_t j = 0; j < kLanes; ++j) out[j] = f(in[j]);
    return load(out);
}
template <class F>
DSO_INLINE Lanes each(const Lanes& x, const Lanes& y, F f) {
    alignas(64) double in[kLanes], in2[kLanes], out[kLanes];
    store(in, x);
    store(in2, y);
#pragma GCC unroll 1
    for (size_t j = 0; j < kLanes; ++j) out[j] = f(in[j], in2[j]);
    return load(out);
}

// The functions that the operator table is written in, for lanes and for numbers.
namespace elementary {

#define DSO_EACH(name)                                                                             \
    DSO_INLINE Lanes name(const Lanes& x) {                                                        \
        return each(x, [](double value) __attribute__((always_inline)) { return ::name(value); }); \
    }                                                                                              \
    DSO_INLINE double name(double x) { return ::name(x); }
DSO_EACH(sin)
DSO_EACH(cos)
DSO_EACH(tan)
DSO_EACH(exp)
DSO_EACH(log)
DSO_EACH(sqrt)
DSO_EACH(tanh)
DSO_EACH(sinh)
DSO_EACH(cosh)
DSO_EACH(asin)
DSO_EACH(acos)
DSO_EACH(atan)
DSO_EACH(cbrt)
DSO_EACH(log1p)
DSO_EACH(erf)
DSO_EACH(erfc)
DSO_EACH(rint)
DSO_EACH(log10)
DSO_EACH(log2)
DSO_EACH(expm1)
DSO_EACH(asinh)
DSO_EACH(acosh)
DSO_EACH(atanh)
DSO_EACH(floor)
DSO_EACH(ceil)
DSO_EACH(tgamma)
#undef DSO_EACH

DSO_INLINE Lanes pow(const Lanes& x, const Lanes& y) {
    return each(x, y,
                [](double a, double b) __attribute__((always_inline)) { return ::pow(a, b); });
}
DSO_INLINE double pow(double x, double y) { return ::pow(x, y); }
DSO_INLINE Lanes atan2(const Lanes& x, const Lanes& y) {
    return each(x, y,
                [](double a, double b) __attribute__((always_inline)) { return ::atan2(a, b); });
}
DSO_INLINE double atan2(double x, double y) { return ::atan2(x, y); }
// The remainder with the sign of the divisor, as in numpy.
DSO_INLINE double mod(double x, double y) {
    const double rest = ::fmod(x, y);
    return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest + 0.0;  // no zero below zero
}
DSO_INLINE Lanes mod(const Lanes& x, const Lanes& y) {
    return each(x, y, [](double a, double b) { return mod(a, b); });
}
DSO_INLINE Lanes abs(const Lanes& x) { return from_bits(bits_of(x) & INT64_MAX); }
DSO_INLINE double abs(double x) { return ::fabs(x); }
// NaN wins, as in numpy. Bits are selected by hand: of two selections, one in the other, GCC makes
// one by two masks that are joined, and works these out lane by lane.
DSO_INLINE Lanes bits_selected(const LaneBits& mask, const Lanes& yes, const Lanes& no) {
    return from_bits((bits_of(yes) & mask) | (bits_of(no) & ~mask));
}
DSO_INLINE Lanes max(const Lanes& x, const Lanes& y) {
    return select(x == x, bits_selected(x > y, x, y), x);
}
DSO_INLINE double max(double x, double y) { return x > y || x != x ? x : y; }
DSO_INLINE Lanes min(const Lanes& x, const Lanes& y) {
    return select(x == x, bits_selected(x < y, x, y), x);
}
DSO_INLINE double min(double x, double y) { return x < y || x != x ? x : y; }
template <class V>
DSO_INLINE V sign(const V& x) {
    return select(x > 0, 1.0, select(x < 0, -1.0, x));
}

// Both forms keep their accuracy where exp(-x) would overflow.
template <class V>
DSO_INLINE V sigmoid(const V& x) {
    const V e = exp(-abs(x));
    return select(x >= 0, 1.0, e) / (1 + e);
}
// And these where 1 - y would cancel.
DSO_INLINE Lanes sigmoid_slope(const Lanes& x) {
    const Lanes e = exp(-abs(x));
    return e / ((1 + e) * (1 + e));
}
DSO_INLINE Lanes tanh_slope(const Lanes& x) { return 4 * sigmoid_slope(2 * x); }

// d(a^b)/db: none where a <= 0, where only some b have a value at all.
DSO_INLINE Lanes pow_slope(const Lanes& a, const Lanes& y) {
    const LaneBits is_positive = a > 0;
    return select(is_positive, y * log(select(is_positive, a, 1.0)), 0.0);
}

// Generalised harmonic number H(x) = digamma(x + 1) + Euler's gamma.
//
// For x > -1, H(x) = sum_{j=1..10} x / (j (j + x)) + [psi(x + 11) - psi(11)]. All terms of the sum
// have the sign of x, and the bracket is written with its factor x taken out:
//     psi(z + 1/2) = log z + sum_k c_k / z^2k,   z = x + a,  a = 10.5,  u = 1 / z^2,  v = 1 / a^2
//     bracket = log1p(x / a) + (u - v) sum_k c_k (u^k - v^k) / (u - v),
// so that the result keeps its relative accuracy down to x = 0. Below -1 by reflection.
DSO_INLINE Lanes harmonic_above(const Lanes& x) {
    Lanes total = {};
    for (int j = 10; j >= 1; --j) total += x / (j * (j + x));
    constexpr double a = 10.5, v = 1 / (a * a);
    constexpr double c[] = {1. / 24,       -7. / 960,    31. / 8064,
                            -127. / 30720, 511. / 67584, -1414477. / 67092480};
    const Lanes z = x + a, u = 1 / (z * z);
    Lanes slope = {}, u_power = splat(1), quotient = {};  // quotient = (u^k - v^k) / (u - v)
    for (const double coefficient : c) {
        quotient = quotient * v + u_power;
        slope += coefficient * quotient;
        u_power *= u;
    }
    total += log1p(x / a) - (x / z) * ((z + a) / z) * v * slope;
    constexpr double euler = 0.57721566490153286061, zeta2 = 1.64493406684822643647;
    return select(x > 1e17, log(x) + euler, select(abs(x) < 1e-17, zeta2 * x, total));
}
DSO_INLINE Lanes harmonic(const Lanes& x) {
    const LaneBits is_below = x <= -1;
    if (!any_sign(is_below)) return harmonic_above(x);
    const Lanes reflected = harmonic_above(select(is_below, -x, x));
    const Lanes angle = M_PI * (x - rint(x));  // 0 at the poles
    return select(is_below, reflected + 1 / x - M_PI / tan(angle), reflected);
}
DSO_INLINE double harmonic(double x) { return harmonic(splat(x))[0]; }

// The gamma function, with no value at its poles but zero.
DSO_INLINE Lanes gamma(const Lanes& x) { return tgamma(x); }
DSO_INLINE double gamma(double x) { return ::tgamma(x); }
DSO_INLINE Lanes digamma(const Lanes& x) { return harmonic(x - 1) - 0.57721566490153286061; }

// sin(pi x) / (pi x). The argument is reduced before it is multiplied, so that what is left of it
// near a whole number keeps its digits; at n + r the sign is that of (-1)^n.
template <class V>
DSO_INLINE V alternating(const V& whole, const V& value) {
    const V half = 0.5 * whole;
    return select(half == rint(half), value, -value);
}
template <class V>
DSO_INLINE V sinc(const V& x) {
    const V whole = rint(x);
    return select(x == 0, 1.0, alternating<V>(whole, sin(M_PI * (x - whole))) / (M_PI * x));
}
// (cos(pi x) - sinc x) / x, and near zero, where that cancels, the first terms of its series.
DSO_INLINE Lanes sinc_slope(const Lanes& x) {
    const Lanes whole = rint(x), square = M_PI * M_PI * (x * x);
    const Lanes far = (alternating<Lanes>(whole, cos(M_PI * (x - whole))) - sinc<Lanes>(x)) / x;
    const Lanes rest = 1 - square / 28 * (1 - square / 54 * (1 - square / 88 * (1 - square / 130)));
    const Lanes near = -M_PI * M_PI / 3 * x * (1 - square / 10 * rest);
    return select(abs(x) < 0.1, near, far);
}

// Trigamma of x + 1, the derivative of `harmonic`: the terms of its series, each derived.
DSO_INLINE Lanes trigamma_above(const Lanes& x) {
    Lanes total = {};
    for (int j = 10; j >= 1; --j) total += 1 / ((x + j) * (x + j));
    constexpr double c[] = {1. / 24,       -7. / 960,    31. / 8064,
                            -127. / 30720, 511. / 67584, -1414477. / 67092480};
    const Lanes z = x + 10.5, u = 1 / (z * z);
    Lanes slope = splat(1), power = splat(1);
    for (int k = 1; k <= 6; ++k) {
        power *= u;
        slope -= 2 * k * c[k - 1] * power;
    }
    return total + slope / z;
}
DSO_INLINE Lanes trigamma(const Lanes& x) {
    const LaneBits is_below = x <= -1;
    const Lanes above = trigamma_above(select(is_below, -x, x));
    const Lanes ratio = M_PI / sin(M_PI * (x - rint(x)));
    return select(is_below, ratio * ratio - above - 1 / (x * x), above);
}

// The inverse of erf: a guess that is right to 0.2 % (Winitzki), then three steps of Halley's
// method, each of which cubes the error. With f = erf, f''/f' = -2x:
//     guess = sqrt(sqrt(t^2 - q / a) - t),  q = log(1 - y^2),  t = 2 / (pi a) + q / 2,  a = 0.147
//     d = (f(x) - y) / f'(x),  x <- x - d / (1 + x d)
// Near 1 the difference is that of erfc, where erf(x) - y would have no digits left.
DSO_INLINE Lanes erfinv(const Lanes& y) {
    constexpr double a = 0.147;
    const Lanes size = abs(y), rest = 1 - size;
    const Lanes q = log(rest * (1 + size)), t = 2 / (M_PI * a) + q / 2;
    const Lanes guess = sqrt(sqrt(t * t - q / a) - t);
    Lanes x = guess;
    for (int step = 0; step < 3; ++step) {
        const Lanes error = select(size < 0.5, erf(x) - size, rest - erfc(x));
        const Lanes d = error / (M_2_SQRTPI * exp(-x * x));
        x -= d / (1 + x * d);
    }
    return sign(y) * select(size < 1, x, guess);
}

}  // namespace elementary
}  // namespace dso::machine
