#include "machine/data.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "machine/vector_math.hpp"

namespace dso::machine {

namespace {

// Below this a copy, which is aligned, costs nothing worth saving.
constexpr size_t kMinShared = 1 << 16;

}  // namespace

Columns::Columns(const double* columns, size_t n_columns, size_t n_rows, Owner owner)
    : owner_(std::move(owner)),
      shared_(columns),
      n_rows_(n_rows),
      n_shared_(owner_ && n_rows >= kMinShared ? n_rows / kTile * kTile : 0),
      stride_(padded(n_rows - n_shared_)),
      buffer_(n_columns * stride_),
      copied_(buffer_.data()) {
    for (size_t d = 0; d < n_columns; ++d) {
        const double* from = columns + d * n_rows;
        double* to = copied_ + d * stride_;
        std::copy(from + n_shared_, from + n_rows, to);
        std::fill(to + (n_rows - n_shared_), to + stride_, n_rows ? from[0] : 0.0);
        finite_.push_back(
            std::all_of(from, from + n_rows, [](double x) { return std::isfinite(x); }));
    }
}

Target::Target(const double* y, const double* weights, size_t n_rows)
    : n_rows_(n_rows),
      storage_(3 * padded(n_rows)),
      y_(storage_.data()),
      weights_(y_ + padded(n_rows)),
      roots_(weights_ + padded(n_rows)) {
    double size = 0;
    for (size_t i = 0; i < padded(n_rows); ++i) {
        const double weight = i >= n_rows ? 0 : weights ? weights[i] : 1;
        const double value = i < n_rows ? y[i] : 0;
        if (!(weight >= 0)) throw std::invalid_argument("weights: no negative numbers");
        y_[i] = value;
        weights_[i] = weight;
        roots_[i] = std::sqrt(weight);
        total_weight_ += weight;
        size += weight * value * value;
    }
    constexpr double epsilon = std::numeric_limits<double>::epsilon();
    if (std::isfinite(size)) floor_ = epsilon * epsilon * size;
}

const Target& Data::required_target() const {
    if (!target) throw std::invalid_argument("data: y is needed");
    return *target;
}

}  // namespace dso::machine
