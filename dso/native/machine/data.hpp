// Rows of data, padded to whole lanes.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace dso::machine {

// Memory aligned to a cache line.
class Buffer {
public:
    explicit Buffer(size_t size = 0) { reserve(size); }
    void reserve(size_t size) {
        if (storage_.size() < size + 8) storage_.resize(size + 8);
    }
    double* data() {
        const auto address = reinterpret_cast<uintptr_t>(storage_.data());
        return storage_.data() + (64 - address % 64) % 64 / sizeof(double);
    }

private:
    std::vector<double> storage_;
};

// Rows that one pass over a program takes.
constexpr size_t kTile = 512;

// The inputs. Padding repeats the first row, so it never fails where no row fails.
//
// Of many rows, which processes may share, only those after the last whole tile are copied; the
// owner keeps the others where they are.
class Columns {
public:
    using Owner = std::shared_ptr<const void>;
    Columns(const double* columns, size_t n_columns, size_t n_rows, Owner owner = nullptr);
    Columns(const Columns&) = delete;
    // The rows of a column from `row` on, up to the end of its tile.
    const double* column(size_t d, size_t row) const {
        return row < n_shared_ ? shared_ + d * n_rows_ + row
                               : copied_ + d * stride_ + (row - n_shared_);
    }
    bool is_finite(size_t d) const { return finite_[d]; }
    size_t n_columns() const { return finite_.size(); }
    size_t n_rows() const { return n_rows_; }
    size_t n_padded() const { return n_shared_ + stride_; }

private:
    Owner owner_;
    const double* shared_;
    size_t n_rows_, n_shared_, stride_;
    Buffer buffer_;
    double* copied_;
    std::vector<char> finite_;
};

// What predictions are compared with. Weights are zero on padding.
class Target {
public:
    // Without `weights` (null) all are 1.
    Target(const double* y, const double* weights, size_t n_rows);
    Target(const Target&) = delete;
    size_t n_rows() const { return n_rows_; }
    const double* y() const { return y_; }
    const double* weights() const { return weights_; }
    const double* root_weights() const { return roots_; }
    double total_weight() const { return total_weight_; }
    // Sums of squared errors below this are rounding.
    double floor() const { return floor_; }

private:
    size_t n_rows_;
    Buffer storage_;
    double *y_, *weights_, *roots_;
    double total_weight_ = 0, floor_ = 0;
};

// What programs are run on and, where there is a target, compared with.
struct Data {
    Data(const double* X, size_t n_columns, size_t n_rows, bool is_protected, Columns::Owner owner)
        : columns(X, n_columns, n_rows, std::move(owner)), is_protected(is_protected) {}
    const Target& required_target() const;

    const Columns columns;
    std::optional<Target> target;
    const bool is_protected;  // whether the result of a program alone must be finite
};

}  // namespace dso::machine
