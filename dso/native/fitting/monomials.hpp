// Polynomials as sums of monomials, on columns of data.
#pragma once
#include <vector>

#include "machine/vm.hpp"

namespace dso::fitting {

// A list of monomials, each x1^e1 x2^e2 ..., multiplied from the left. Every one is had from a
// shorter one by a single product, so whole lists are cheap and a monomial has the same value in
// whichever list it stands.
class Monomials {
public:
    Monomials(const int32_t* exponents, size_t n_terms, size_t n_columns);
    size_t size() const { return terms_.size(); }

    // out = sum over k of coefficients[k] * monomial k, for the rows [row, row + n) of whole lanes.
    // Terms with a coefficient of zero are left out.
    void values(const double* coefficients, const machine::Columns& data, size_t row, size_t n,
                double* out);

private:
    static constexpr size_t kTile = 64;
    struct Product {
        int32_t shorter, column;  // both -1 for the number 1
    };
    void tile(const double* coefficients, const machine::Columns& data, size_t row, size_t n,
              double* out);

    std::vector<Product> products_;  // shorter ones first
    std::vector<int32_t> terms_;     // index of each term among the products
    std::vector<char> is_needed_;
    machine::Buffer storage_;
};

}  // namespace dso::fitting
