// Polynomials as Python sees them: values, fits, and programs solved for one of their nodes.
#include "bindings/target.hpp"
#include "fitting/polynomial.hpp"
#include "machine/inversion.hpp"
#include "threads.hpp"

namespace dso {

constexpr size_t kProgramsPerChunk = 4;

static const Array<double>& require_matrix(const Array<double>& X) {
    if (X.ndim() != 2) throw std::invalid_argument("X: (D, N)");
    return X;
}

static Monomials make_monomials(const Array<int32_t>& exponents) {
    if (exponents.ndim() != 2) throw std::invalid_argument("exponents: (terms, D)");
    for (py::ssize_t i = 0; i < exponents.size(); ++i)
        if (exponents.data()[i] < 0) throw std::invalid_argument("exponents: no negative numbers");
    return {exponents.data(), static_cast<size_t>(exponents.shape(0)),
            static_cast<size_t>(exponents.shape(1))};
}

static py::array_t<double> polynomial_values(const Array<int32_t>& exponents,
                                             const Array<double>& coefficients,
                                             const Array<double>& X) {
    Monomials monomials = make_monomials(exponents);
    if (coefficients.ndim() != 1 || static_cast<size_t>(coefficients.size()) != monomials.size() ||
        exponents.shape(1) > require_matrix(X).shape(0))
        throw std::invalid_argument("exponents (terms, D), coefficients (terms,), X (D, N)");
    const Columns data(X.data(), X.shape(0), X.shape(1));
    Buffer values(data.n_padded());
    monomials.values(coefficients.data(), data, 0, data.n_padded(), values.data());
    return py::array_t<double>(data.n_rows(), values.data());
}

// A PolynomialBasis with the memory that it refers to.
struct BasisStorage {
    BasisStorage(const Array<int32_t>& exponents, const Array<double>& orthonormal,
                 const Array<double>& to_monomials, const Array<double>& sizes)
        : n_rows(orthonormal.shape(0)),
          basis{make_monomials(exponents),
                static_cast<size_t>(orthonormal.shape(1)),
                padded(orthonormal.shape(1)),
                nullptr,
                nullptr,
                nullptr} {
        const size_t n_terms = basis.monomials.size();
        if (orthonormal.ndim() != 2 || to_monomials.ndim() != 2 || sizes.ndim() != 1 ||
            static_cast<size_t>(to_monomials.shape(0)) != n_terms ||
            static_cast<size_t>(to_monomials.shape(1)) != basis.rank ||
            static_cast<size_t>(sizes.size()) != n_terms || n_terms == 0)
            throw std::invalid_argument(
                "exponents (P, D), values (N, rank), to_monomials (P, rank), sizes (P,)");
        basis.values = copy(orthonormal, padded(n_rows), values_);
        basis.to_monomials = copy(to_monomials, n_terms, to_monomials_);
        sizes_.assign(sizes.data(), sizes.data() + n_terms);
        basis.sizes = sizes_.data();
    }
    BasisStorage(const BasisStorage&) = delete;

    const double* copy(const Array<double>& from, size_t n_rows_padded, Buffer& to) const {
        to.reserve(n_rows_padded * basis.stride);
        std::fill(to.data(), to.data() + n_rows_padded * basis.stride, 0.0);
        for (py::ssize_t i = 0; i < from.shape(0); ++i)
            std::copy(from.data(i, 0), from.data(i, 0) + basis.rank, to.data() + i * basis.stride);
        // Padding of the data repeats the first row; so does what is known of it.
        for (size_t i = from.shape(0); i < n_rows_padded; ++i)
            std::copy(from.data(0, 0), from.data(0, 0) + basis.rank, to.data() + i * basis.stride);
        return to.data();
    }

    size_t n_rows;
    PolynomialBasis basis;

private:
    Buffer values_, to_monomials_;
    std::vector<double> sizes_;
};

static py::tuple fit_polynomials(const Library& library, const Array<int16_t>& tokens,
                                 const Array<int32_t>& lengths, const Array<double>& start,
                                 const Array<double>& X, const Array<double>& y,
                                 const OptionalArray& weights, bool is_protected,
                                 const BasisStorage& storage, const OptionalArray& lower,
                                 const OptionalArray& upper, const BasisStorage* sparse,
                                 size_t most_terms, double coef_tol, int max_steps, double work,
                                 bool with_wanted, int n_threads) {
    const ProgramView programs = view_programs(tokens, lengths, start);
    const Columns data(require_matrix(X).data(), X.shape(0), X.shape(1));
    check_programs(library, programs, data.n_columns(), Polynomials::allowed);
    if (storage.n_rows != data.n_rows() || (sparse && sparse->n_rows != data.n_rows()))
        throw std::invalid_argument("basis: of other rows than X");
    const TargetStorage targets(y, weights, data.n_rows());
    const double none = std::numeric_limits<double>::infinity();
    std::vector<double> no_lower, no_upper;
    const double* low = bounds_or(lower, no_lower, -none, programs);
    const double* high = bounds_or(upper, no_upper, none, programs);
    const size_t B = programs.n_programs, K = programs.n_constants, N = data.n_rows();
    const size_t P = (sparse ? sparse : &storage)->basis.monomials.size();
    if (P < storage.basis.monomials.size())
        throw std::invalid_argument("sparse_basis: fewer monomials than the basis");
    py::array_t<double> coefficients({B, P}), constants({B, K}), mse(B);
    py::array_t<double> wanted({with_wanted ? B : 0, N});
    py::array_t<uint8_t> cause(B);
    py::array_t<int32_t> node(B);
    double *to = coefficients.mutable_data(), *numbers = constants.mutable_data(),
           *errors = mse.mutable_data(), *wishes = wanted.mutable_data();
    uint8_t* causes = cause.mutable_data();
    int32_t* nodes = node.mutable_data();
    std::copy(start.data(), start.data() + B * K, numbers);
    const PolynomialOptions options{coef_tol, max_steps, work, most_terms};
    const auto chunk_of_programs = [&](size_t, size_t begin, size_t end) {
        PolynomialFit fitter(library, data, targets.target, storage.basis,
                             sparse ? &sparse->basis : nullptr, is_protected, options);
        for (size_t p = begin; p < end; ++p) {
            double error = 0;
            const Verdict verdict = fitter.fit(programs.row(p), programs.lengths[p], K, low + p * K,
                                               high + p * K, numbers + p * K, to + p * P, &error);
            causes[p] = static_cast<uint8_t>(verdict.cause);
            nodes[p] = verdict.node;
            errors[p] = verdict.cause == Cause::valid ? error / targets.target.total_weight
                                                      : std::numeric_limits<double>::quiet_NaN();
            if (with_wanted) std::copy(fitter.wanted(), fitter.wanted() + N, wishes + p * N);
        }
    };
    {
        const py::gil_scoped_release release;
        parallel_for(B, std::max(1, n_threads), kProgramsPerChunk, chunk_of_programs);
    }
    return py::make_tuple(coefficients, constants, mse, cause, node, wanted);
}

// One program with the subtree at `position` cut out, and the library with a token for the hole.
struct Cut {
    Cut(const Library& library, const ProgramView& programs, size_t b, int32_t position) {
        const int16_t* row = programs.row(b);
        const int32_t length = programs.lengths[b];
        if (position < 0 || position >= length)
            throw std::invalid_argument("positions: program " + std::to_string(b) +
                                        " has no token at " + std::to_string(position));
        int32_t end = position;
        for (int64_t missing = 1; missing > 0; ++end) missing += library.arities[row[end]] - 1;
        const auto hole = static_cast<int16_t>(library.arities.size());
        size_t slot = 0;
        for (int32_t t = 0; t < length; ++t) {
            const bool is_inside = t >= position && t < end;
            if (t == position) tokens.push_back(hole);
            if (!is_inside) tokens.push_back(row[t]);
            if (library.opcodes[row[t]] != Op::constant) continue;
            const double value = slot < programs.n_constants ? programs.slots(b)[slot] : 1;
            if (!is_inside) constants.push_back(value);
            ++slot;
        }
    }
    std::vector<int16_t> tokens;
    std::vector<double> constants;
};

static py::tuple invert_programs(const Library& library, const Array<int16_t>& tokens,
                                 const Array<int32_t>& lengths, const Array<double>& constants,
                                 const Array<int32_t>& positions, const Array<double>& X,
                                 const Array<double>& y, int n_threads) {
    const ProgramView programs = view_programs(tokens, lengths, constants);
    const Columns data(require_matrix(X).data(), X.shape(0), X.shape(1));
    check_programs(library, programs, data.n_columns(), Polynomials::allowed);
    const size_t B = programs.n_programs, N = data.n_rows(), n_padded = data.n_padded();
    if (positions.ndim() != 1 || static_cast<size_t>(positions.size()) != B)
        throw std::invalid_argument("positions: (B,)");
    if (y.ndim() != 1 || static_cast<size_t>(y.size()) != N) throw std::invalid_argument("y: (N,)");
    Library with_hole = library;
    with_hole.arities.push_back(0);
    with_hole.opcodes.push_back(Op::poly);
    with_hole.operands.push_back(0);
    with_hole.values.push_back(0);
    std::vector<double> target(n_padded, N ? y.data()[0] : 0);
    std::copy(y.data(), y.data() + N, target.begin());
    py::array_t<double> wanted({B, N});
    py::array_t<bool> is_finite(B);
    double* out = wanted.mutable_data();
    bool* finite = is_finite.mutable_data();
    const auto chunk_of_programs = [&](size_t, size_t begin, size_t end) {
        HoledProgram program(with_hole, data, true);
        std::vector<double> values(n_padded);
        for (size_t b = begin; b < end; ++b) {
            const Cut cut(library, programs, b, positions.data()[b]);
            program.set(cut.tokens.data(), static_cast<int32_t>(cut.tokens.size()),
                        cut.constants.data(), cut.constants.size());
            constexpr size_t tile = 512;
            for (size_t row = 0; row < n_padded; row += tile)
                program.wanted(row, std::min(tile, n_padded - row), target.data() + row,
                               values.data() + row);
            std::copy(values.begin(), values.begin() + N, out + b * N);
            finite[b] = program.is_invertible() &&
                        std::all_of(values.begin(), values.begin() + N,
                                    [](double value) { return std::isfinite(value); });
        }
    };
    {
        const py::gil_scoped_release release;
        parallel_for(B, std::max(1, n_threads), kProgramsPerChunk, chunk_of_programs);
    }
    return py::make_tuple(wanted, is_finite);
}

// The inverse of one operator, for those who check it.
static py::array_t<double> invert_operator(int opcode, int argument, const Array<double>& y,
                                           const Array<double>& other) {
    if (opcode < 0 || opcode >= static_cast<int>(Op::less) || argument < 0 || argument > 1 ||
        y.size() != other.size())
        throw std::invalid_argument("invert_operator: opcode, argument 0 or 1, y and other (N,)");
    const size_t n = y.size();
    Buffer a(padded(n)), b(padded(n)), out(padded(n));
    std::copy(y.data(), y.data() + n, a.data());
    std::copy(other.data(), other.data() + n, b.data());
    invert(static_cast<Op>(opcode), argument, a.data(), b.data(), out.data(), padded(n));
    return py::array_t<double>(n, out.data());
}

void bind_polynomials(py::module_& m) {
    py::class_<BasisStorage>(m, "PolynomialBasis", "What polynomials are on the rows of some data.")
        .def(py::init<const Array<int32_t>&, const Array<double>&, const Array<double>&,
                      const Array<double>&>(),
             py::arg("exponents"), py::arg("values"), py::arg("to_monomials"), py::arg("sizes"));
    m.def("polynomial_values", &polynomial_values, py::arg("exponents"), py::arg("coefficients"),
          py::arg("X"), "Exponents (terms, D), coefficients (terms,), X (D, N) -> (N,).");
    m.def("fit_polynomials", &fit_polynomials, py::arg("library"), py::arg("tokens"),
          py::arg("lengths"), py::arg("start"), py::arg("X"), py::arg("y"), py::arg("weights"),
          py::arg("protected"), py::arg("basis"), py::arg("lower") = py::none(),
          py::arg("upper") = py::none(), py::arg("sparse_basis") = py::none(),
          py::arg("most_terms") = 0, py::arg("coef_tol") = 0.0, py::arg("max_steps") = 50,
          py::arg("work") = 2.5e6, py::arg("with_wanted") = false, py::arg("n_threads") = 1,
          "Programs with one polynomial each -> its coefficients (B, P), constants (B, K), mean "
          "squared error (B,), NaN where invalid, cause (B,), node (B,), and, if asked for, what "
          "the polynomial should have been (B, N).");
    m.def("invert_programs", &invert_programs, py::arg("library"), py::arg("tokens"),
          py::arg("lengths"), py::arg("constants"), py::arg("positions"), py::arg("X"),
          py::arg("y"), py::arg("n_threads") = 1,
          "What the node at each position (B,) ought to be for the program to give y (N,): values "
          "(B, N), NaN where nothing or anything does, and whether all are finite (B,).");
    m.def("has_inverse",
          [](int opcode, int argument) { return has_inverse(static_cast<Op>(opcode), argument); });
    m.def("invert_operator", &invert_operator, py::arg("opcode"), py::arg("argument"), py::arg("y"),
          py::arg("other"),
          "The argument of an operator that gives y, from the other argument; each (N,).");
}

}  // namespace dso
