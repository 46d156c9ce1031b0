#include "machine/inversion.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "machine/vector_math.hpp"

namespace dso::machine {

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
    case Op::op_##name:                         \
        return argument == 0 && is_given(INVERSE(inverse, b));
#define BINARY(name, value, slope_a, slope_b, inverse_a, inverse_b, ...) \
    case Op::op_##name:                                                  \
        return argument == 0 ? is_given(INVERSE(inverse_a, b))           \
                             : argument == 1 && is_given(INVERSE(inverse_b, a));

bool has_inverse(Op op, int argument) {
    using namespace elementary;
    switch (op) {
        DSO_OPERATORS(UNARY, BINARY)
        default:
            return false;
    }
}

}  // namespace dso::machine
