#include "fitting/polynomial_basis.hpp"

#include <algorithm>
#include <stdexcept>

#include "machine/vector_math.hpp"

namespace dso::fitting {

PolynomialBasis::PolynomialBasis(Monomials monomials, const MatrixView& values,
                                 const MatrixView& to_monomials, const double* sizes)
    : monomials_(std::move(monomials)),
      n_rows_(values.n_rows),
      rank_(values.n_columns),
      stride_(machine::padded(rank_)),
      sizes_(sizes, sizes + monomials_.size()) {
    if (to_monomials.n_rows != monomials_.size() || to_monomials.n_columns != rank_ ||
        monomials_.size() == 0)
        throw std::invalid_argument(
            "exponents (P, D), values (N, rank), to_monomials (P, rank), sizes (P,)");
    values_ = copy(values, machine::padded(n_rows_), values_storage_);
    to_monomials_ = copy(to_monomials, monomials_.size(), to_monomials_storage_);
}

double* PolynomialBasis::copy(const MatrixView& from, size_t n_rows, machine::Buffer& to) const {
    to.reserve(n_rows * stride_);
    double* out = to.data();
    std::fill(out, out + n_rows * stride_, 0.0);
    for (size_t i = 0; i < n_rows; ++i) {
        const double* row = from.data + (i < from.n_rows ? i : 0) * rank_;
        std::copy(row, row + rank_, out + i * stride_);
    }
    return out;
}

}  // namespace dso::fitting
