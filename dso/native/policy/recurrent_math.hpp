// Scalar functions of the recurrent cells, written so that loops over them become vector code.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "policy/matrix.hpp"

namespace dso::policy {

// e^x as straight-line code that the compiler turns into vector instructions: 2^n times a
// polynomial on [-ln 2 / 2, ln 2 / 2], within 2 ULP; 0 below the least normal number, no overflow.
DSO_INLINE float exponential(float x) {
    const float clamped = x > 88.0f ? 88.0f : x < -87.0f ? -87.0f : x;
    const float shift = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
    const float n = (clamped * 1.44269504f + shift) - shift;
    const float r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    const int32_t bits = (static_cast<int32_t>(n) + 127) << 23;
    float power;
    std::memcpy(&power, &bits, sizeof power);
    return x < -87.0f ? 0.0f : p * power;
}
// Double precision serves checks, not speed.
DSO_INLINE double exponential(double x) { return std::exp(x); }
template <class T>
DSO_INLINE T sigmoid(T x) {
    return T(1) / (T(1) + exponential(-x));
}
template <class T>
DSO_INLINE T hyperbolic_tangent(T x) {
    return T(1) - T(2) / (T(1) + exponential(T(2) * x));
}

}  // namespace dso::policy
