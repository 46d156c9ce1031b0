// What the bindings of fits share: targets, weights and bounds as they come from Python.
#pragma once
#include <cmath>
#include <limits>
#include <optional>
#include <string>

#include "bindings/arrays.hpp"
#include "fitting/constants.hpp"
#include "machine/vector_math.hpp"

namespace dso::bindings {

using fitting::Target;
using machine::padded;

using OptionalArray = std::optional<Array<double>>;

// Targets, weights and their roots, padded to whole lanes.
struct TargetStorage {
    TargetStorage(const Array<double>& y, const OptionalArray& weights, size_t n_rows)
        : y(padded(n_rows)), weights(padded(n_rows)), roots(padded(n_rows)) {
        const auto fits = [n_rows](const Array<double>& values) {
            return values.ndim() == 1 && static_cast<size_t>(values.size()) == n_rows;
        };
        if (!fits(y) || (weights && !fits(*weights)))
            throw std::invalid_argument("y and weights: (N,) like the rows of X");
        double total = 0, size = 0;
        for (size_t i = 0; i < padded(n_rows); ++i) {
            const double weight = i >= n_rows ? 0 : weights ? weights->data()[i] : 1;
            const double value = i < n_rows ? y.data()[i] : 0;
            if (!(weight >= 0)) throw std::invalid_argument("weights: no negative numbers");
            this->y.data()[i] = value;
            this->weights.data()[i] = weight;
            roots.data()[i] = std::sqrt(weight);
            total += weight;
            size += weight * value * value;
        }
        constexpr double epsilon = std::numeric_limits<double>::epsilon();
        target = {this->y.data(), this->weights.data(), roots.data(), total,
                  std::isfinite(size) ? epsilon * epsilon * size : 0};
    }

    machine::Buffer y, weights, roots;
    Target target;
};

inline const double* bounds_or(const OptionalArray& given, std::vector<double>& otherwise,
                               double value, const machine::ProgramView& programs) {
    const size_t size = programs.n_programs * programs.n_constants;
    if (given) {
        if (static_cast<size_t>(given->size()) != size)
            throw std::invalid_argument("lower and upper: (B, K) like the start points");
        return given->data();
    }
    otherwise.assign(size, value);
    return otherwise.data();
}

}  // namespace dso::bindings
