// Fits of constants and polynomials.
#include <cmath>
#include <limits>

#include "bindings/arrays.hpp"
#include "fitting/constants.hpp"
#include "fitting/polynomial.hpp"

namespace dso::bindings {

using namespace fitting;
using machine::Data;
using machine::Library;

namespace {

Bounds make_bounds(const Programs& programs, const OptionalArray& lower,
                   const OptionalArray& upper) {
    const machine::ProgramView& view = programs.view();
    const auto data = [&](const OptionalArray& given) -> const double* {
        if (!given) return nullptr;
        if (static_cast<size_t>(given->size()) != view.n_programs * view.n_constants)
            throw std::invalid_argument("lower and upper: (B, K) like the start points");
        return given->data();
    };
    return {data(lower), data(upper), view.n_constants};
}

NewArray<double> copy_constants(const Programs& programs) {
    const machine::ProgramView& view = programs.view();
    NewArray<double> constants({view.n_programs, view.n_constants});
    std::copy_n(view.constants, constants.size(), constants.mutable_data());
    return constants;
}

std::tuple<NewArray<double>, NewArray<double>> fit(const Library& library, const Programs& programs,
                                                   const Data& data, const OptionalArray& lower,
                                                   const OptionalArray& upper, int max_iterations,
                                                   int n_starts, uint64_t key, int n_threads,
                                                   const OrNone<machine::Loss>& loss) {
    const Bounds bounds = make_bounds(programs, lower, upper);
    NewArray<double> constants = copy_constants(programs), mse(programs.size());
    double *out = constants.mutable_data(), *errors = mse.mutable_data();
    const FitOptions options{max_iterations, std::max(1, n_starts), key};
    {
        const py::gil_scoped_release release;
        fit_constants(make_batch(library, programs, data, n_threads), bounds, options,
                      loss.value_or(nullptr), out, errors);
    }
    return {constants, mse};
}

std::tuple<NewArray<double>, NewArray<double>, NewArray<bool>> derive(const Library& library,
                                                                      const Programs& programs,
                                                                      const Data& data,
                                                                      int n_threads) {
    const size_t B = programs.size(), K = programs.view().n_constants, N = data.columns.n_rows();
    NewArray<double> values({B, N}), jacobians({B, K, N});
    NewArray<bool> is_valid(B);
    double *to = values.mutable_data(), *slopes = jacobians.mutable_data();
    bool* valid = is_valid.mutable_data();
    {
        const py::gil_scoped_release release;
        derive_programs(make_batch(library, programs, data, n_threads), to, slopes, valid);
    }
    return {values, jacobians, is_valid};
}

// ---- polynomials
// ---------------------------------------------------------------------------------

constexpr int32_t kMaxExponent = 1000;  // each takes a column of its own

Monomials make_monomials(const Array<int32_t>& exponents) {
    if (exponents.ndim() != 2) throw std::invalid_argument("exponents: (terms, D)");
    for (py::ssize_t i = 0; i < exponents.size(); ++i)
        if (exponents.data()[i] < 0 || exponents.data()[i] > kMaxExponent)
            throw std::invalid_argument("exponents: 0 to " + std::to_string(kMaxExponent));
    return {exponents.data(), static_cast<size_t>(exponents.shape(0)),
            static_cast<size_t>(exponents.shape(1))};
}

NewArray<double> polynomial_values(const Array<int32_t>& exponents,
                                   const Array<double>& coefficients, const Array<double>& X) {
    Monomials monomials = make_monomials(exponents);
    if (X.ndim() != 2 || coefficients.ndim() != 1 || exponents.shape(1) > X.shape(0) ||
        static_cast<size_t>(coefficients.size()) != monomials.size())
        throw std::invalid_argument("exponents (terms, D), coefficients (terms,), X (D, N)");
    const machine::Columns data(X.data(), X.shape(0), X.shape(1));
    machine::Buffer values(data.n_padded());
    monomials.values(coefficients.data(), data, 0, data.n_padded(), values.data());
    return NewArray<double>(data.n_rows(), values.data());
}

std::unique_ptr<PolynomialBasis> make_basis(const Array<int32_t>& exponents,
                                            const Array<double>& values,
                                            const Array<double>& to_monomials,
                                            const Array<double>& sizes) {
    const auto view = [](const Array<double>& matrix) -> MatrixView {
        if (matrix.ndim() != 2) throw std::invalid_argument("values and to_monomials: matrices");
        return {matrix.data(), static_cast<size_t>(matrix.shape(0)),
                static_cast<size_t>(matrix.shape(1))};
    };
    if (exponents.ndim() != 2 || sizes.ndim() != 1 || sizes.shape(0) != exponents.shape(0))
        throw std::invalid_argument("exponents (P, D), sizes (P,)");
    return std::make_unique<PolynomialBasis>(make_monomials(exponents), view(values),
                                             view(to_monomials), sizes.data());
}

using Fitted = std::tuple<NewArray<double>, NewArray<double>, NewArray<double>, NewArray<uint8_t>,
                          NewArray<int32_t>, NewArray<double>>;

Fitted fit_with_polynomials(const Library& library, const Programs& programs, const Data& data,
                            const PolynomialBasis& basis, const OptionalArray& lower,
                            const OptionalArray& upper, const OrNone<PolynomialBasis>& sparse_basis,
                            size_t most_terms, double coef_tol, int max_steps, double work,
                            bool with_wanted, int n_threads) {
    const Bounds bounds = make_bounds(programs, lower, upper);
    const size_t B = programs.size();
    const size_t P = (sparse_basis ? **sparse_basis : basis).monomials().size();
    NewArray<double> coefficients({B, P}), constants = copy_constants(programs), mse(B);
    NewArray<double> wanted({with_wanted ? B : 0, data.columns.n_rows()});
    VerdictArrays verdicts(B);
    const PolynomialFits fits{coefficients.mutable_data(), constants.mutable_data(),
                              mse.mutable_data(), verdicts.view(),
                              with_wanted ? wanted.mutable_data() : nullptr};
    const PolynomialOptions options{coef_tol, max_steps, work, most_terms};
    {
        const py::gil_scoped_release release;
        fit_polynomials(make_batch(library, programs, data, n_threads), basis,
                        sparse_basis.value_or(nullptr), bounds, options, fits);
    }
    return {coefficients, constants, mse, verdicts.cause, verdicts.node, wanted};
}

}  // namespace

void bind_fitting(py::module_& m) {
    m.def("fit_constants", &fit, py::arg("library"), py::arg("programs"), py::arg("data"),
          py::kw_only(), py::arg("lower") = py::none(), py::arg("upper") = py::none(),
          py::arg("max_iterations") = 50, py::arg("n_starts") = 1, py::arg("key") = 0,
          py::arg("n_threads") = 1, py::arg("loss") = py::none(),
          "Least squares, or the least loss, from the constants of the programs, within bounds (B, "
          "K) -> constants "
          "(B, K), mean squared error or loss (B,), NaN where no valid constants were found (which "
          "then "
          "are those of the start).");
    m.def("derive", &derive, py::arg("library"), py::arg("programs"), py::arg("data"),
          py::arg("n_threads") = 1,
          "Predictions (B, N), their derivatives in the constants (B, K, N), and whether each "
          "program is valid (B,).");
    py::class_<PolynomialBasis>(m, "PolynomialBasis",
                                "What polynomials are on the rows of some data.")
        .def(py::init(&make_basis), py::arg("exponents"), py::arg("values"),
             py::arg("to_monomials"), py::arg("sizes"));
    m.def("polynomial_values", &polynomial_values, py::arg("exponents"), py::arg("coefficients"),
          py::arg("X"), "Exponents (terms, D), coefficients (terms,), X (D, N) -> (N,).");
    m.def("fit_polynomials", &fit_with_polynomials, py::arg("library"), py::arg("programs"),
          py::arg("data"), py::arg("basis"), py::kw_only(), py::arg("lower") = py::none(),
          py::arg("upper") = py::none(), py::arg("sparse_basis") = py::none(),
          py::arg("most_terms") = 0, py::arg("coef_tol") = 0.0, py::arg("max_steps") = 50,
          py::arg("work") = 2.5e6, py::arg("with_wanted") = false, py::arg("n_threads") = 1,
          "Programs with one polynomial each -> its coefficients (B, P), constants (B, K), mean "
          "squared error (B,), NaN where invalid, cause (B,), node (B,), and, if asked for, what "
          "the polynomial should have been (B, N).");
}

}  // namespace dso::bindings
