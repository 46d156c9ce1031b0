// What polynomials of some degree are on the rows of some data.
#pragma once
#include <vector>

#include "fitting/monomials.hpp"
#include "machine/data.hpp"

namespace dso::fitting {

// A matrix (n_rows, n_columns) that somebody else owns.
struct MatrixView {
    const double* data;
    size_t n_rows, n_columns;
};

// `values` (padded N, stride) has orthonormal columns where rows are scaled by the roots of their
// weights, so u = values' (weights * z) are the coordinates of the polynomial nearest to z, and
// values u is what it predicts. `to_monomials` (P, stride) turns u into coefficients. Columns
// beyond the rank are zero; rows of padding repeat the first one, as those of the data do.
class PolynomialBasis {
public:
    // `values` (N, rank), `to_monomials` (P, rank), `sizes` (P,); they are copied.
    PolynomialBasis(Monomials monomials, const MatrixView& values, const MatrixView& to_monomials,
                    const double* sizes);
    PolynomialBasis(const PolynomialBasis&) = delete;

    const Monomials& monomials() const { return monomials_; }
    size_t n_rows() const { return n_rows_; }
    size_t rank() const { return rank_; }
    size_t stride() const { return stride_; }
    const double* values() const { return values_; }
    const double* to_monomials() const { return to_monomials_; }
    const double* sizes() const { return sizes_.data(); }  // greatest |value| of each monomial

private:
    double* copy(const MatrixView& from, size_t n_rows, machine::Buffer& to) const;

    Monomials monomials_;
    size_t n_rows_, rank_, stride_;
    std::vector<double> sizes_;
    machine::Buffer values_storage_, to_monomials_storage_;
    const double *values_, *to_monomials_;
};

}  // namespace dso::fitting
