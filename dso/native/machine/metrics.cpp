#include "machine/metrics.hpp"

#include "machine/vector_math.hpp"

namespace dso::machine {

DSO_CLONES
double sum_squared_error(const double* prediction, const double* y, const double* weights,
                         size_t n) {
    Lanes total = {};
    for (size_t i = 0; i < n; i += kLanes) {
        const Lanes error = load(prediction + i) - load(y + i);
        total += load(weights + i) * (error * error);
    }
    return sum(total);
}

DSO_CLONES
double sum_within(const double* prediction, const double* y, const double* tolerance,
                  const double* weights, size_t n) {
    Lanes total = {};
    for (size_t i = 0; i < n; i += kLanes) {
        const Lanes error = elementary::abs(load(prediction + i) - load(y + i));
        total += select(error < load(tolerance + i), load(weights + i), 0.0);
    }
    return sum(total);
}

DSO_CLONES
double dot(const double* a, const double* b, size_t n) {
    Lanes total = {};
    for (size_t i = 0; i < n; i += kLanes) total += load(a + i) * load(b + i);
    return sum(total);
}

DSO_CLONES
void add(double* total, const double* part, size_t n) {
    for (size_t i = 0; i < n; i += kLanes) store(total + i, load(total + i) + load(part + i));
}

DSO_CLONES
void scaled_errors(double* out, const double* prediction, const double* y, const double* roots,
                   size_t n) {
    for (size_t i = 0; i < n; i += kLanes)
        store(out + i, load(roots + i) * (load(prediction + i) - load(y + i)));
}

DSO_CLONES
void scaled_slopes(double* out, const double* slope, const double* roots, size_t n) {
    for (size_t i = 0; i < n; i += kLanes) {
        const Lanes value = load(slope + i);
        store(out + i, select(elementary::abs(value) < 1e140, value * load(roots + i), 0.0));
    }
}

}  // namespace dso::machine
