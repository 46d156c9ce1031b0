#include "fitting/monomials.hpp"

#include <algorithm>
#include <map>

#include "machine/vector_math.hpp"

namespace dso::fitting {

using namespace machine;

Monomials::Monomials(const int32_t* exponents, size_t n_terms, size_t n_columns) {
    // A monomial as the ascending list of its factors: x1 x1 x3 is {0, 0, 2}.
    std::map<std::vector<int32_t>, int32_t> known;
    products_.push_back({-1, -1});
    known[{}] = 0;
    for (size_t k = 0; k < n_terms; ++k) {
        std::vector<int32_t> factors;
        int32_t at = 0;
        for (size_t d = 0; d < n_columns; ++d)
            for (int32_t i = 0; i < exponents[k * n_columns + d]; ++i) {
                factors.push_back(static_cast<int32_t>(d));
                const auto next = static_cast<int32_t>(products_.size());
                const auto found = known.emplace(factors, next);
                if (found.second) products_.push_back({at, static_cast<int32_t>(d)});
                at = found.first->second;
            }
        terms_.push_back(at);
    }
    storage_.reserve(products_.size() * kTile);
}

DSO_CLONES
void Monomials::tile(const double* coefficients, const Columns& data, size_t row, size_t n,
                     double* out) {
    double* products = storage_.data();
    for (size_t p = 0; p < products_.size(); ++p) {
        if (!is_needed_[p]) continue;
        double* to = products + p * kTile;
        const Product product = products_[p];
        if (product.shorter < 0) {
            std::fill(to, to + n, 1.0);
            continue;
        }
        const double* shorter = products + product.shorter * kTile;
        const double* column = data.column(product.column, row);
        for (size_t i = 0; i < n; i += kLanes) store(to + i, load(shorter + i) * load(column + i));
    }
    std::fill(out, out + n, 0.0);
    for (size_t k = 0; k < terms_.size(); ++k) {
        if (coefficients[k] == 0) continue;
        const double* monomial = products + terms_[k] * kTile;
        for (size_t i = 0; i < n; i += kLanes)
            store(out + i, load(out + i) + coefficients[k] * load(monomial + i));
    }
}

void Monomials::values(const double* coefficients, const Columns& data, size_t row, size_t n,
                       double* out) {
    is_needed_.assign(products_.size(), 0);
    for (size_t k = 0; k < terms_.size(); ++k)
        if (coefficients[k] != 0) is_needed_[terms_[k]] = 1;
    for (size_t p = products_.size(); p-- > 1;)
        if (is_needed_[p]) is_needed_[products_[p].shorter] = 1;
    for (size_t i = 0; i < n; i += kTile)
        tile(coefficients, data, row + i, std::min(kTile, n - i), out + i);
}

}  // namespace dso::fitting
