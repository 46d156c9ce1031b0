#include "machine/partials.hpp"

#include "machine/vector_math.hpp"

namespace dso::machine {

template <class F>
static DSO_INLINE void map(double* __restrict out, const double* upstream, const double* a,
                           const double* b, const double* y, size_t n, F f) {
    for (size_t i = 0; i < n; i += kLanes)
        store(out + i, load(upstream + i) * f(load(a + i), load(b + i), load(y + i)));
}

#define SLOPE(expression)                                                               \
    [](const Lanes& a, const Lanes& b, const Lanes& y) __attribute__((always_inline)) { \
        (void)a, (void)b, (void)y;                                                      \
        return expression;                                                              \
    }
#define UNARY(name, value, slope, ...)                       \
    case Op::op_##name:                                      \
        if (da) map(da, upstream, a, a, y, n, SLOPE(slope)); \
        break;
#define BINARY(name, value, slope_a, slope_b, ...)             \
    case Op::op_##name:                                        \
        if (da) map(da, upstream, a, b, y, n, SLOPE(slope_a)); \
        if (db) map(db, upstream, a, b, y, n, SLOPE(slope_b)); \
        break;

DSO_CLONES
void chain(Op op, const double* upstream, const double* a, const double* b, const double* y,
           double* da, double* db, size_t n) {
    using namespace elementary;
    switch (op) {
        DSO_OPERATORS(UNARY, BINARY)
        default:
            break;  // leaves, and what has its own chain
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

}  // namespace dso::machine
