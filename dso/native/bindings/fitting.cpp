// The fit of constants as Python sees it.
#include <cmath>
#include <limits>
#include <optional>

#include "bindings/target.hpp"
#include "fitting/constants.hpp"
#include "machine/partials.hpp"
#include "machine/vector_math.hpp"
#include "threads.hpp"

namespace dso {

constexpr size_t kFitsPerChunk = 8;

static py::tuple fit(const Library& library, const Array<int16_t>& tokens,
                     const Array<int32_t>& lengths, const Array<double>& start,
                     const Array<double>& X, const Array<double>& y, const OptionalArray& weights,
                     bool is_protected, const OptionalArray& lower, const OptionalArray& upper,
                     int max_iterations, int n_starts, uint64_t key, int n_threads) {
    const ProgramView programs = view_programs(tokens, lengths, start);
    if (X.ndim() != 2) throw std::invalid_argument("X: (D, N)");
    const Columns data(X.data(), X.shape(0), X.shape(1));
    check_programs(library, programs, data.n_columns());
    const TargetStorage storage(y, weights, data.n_rows());
    const Target& target = storage.target;
    constexpr double infinity = std::numeric_limits<double>::infinity();
    std::vector<double> no_lower, no_upper;
    const double* low = bounds_or(lower, no_lower, -infinity, programs);
    const double* high = bounds_or(upper, no_upper, infinity, programs);

    const size_t K = programs.n_constants;
    py::array_t<double> constants({programs.n_programs, K});
    py::array_t<double> mse(programs.n_programs);
    double* out = constants.mutable_data();
    double* errors = mse.mutable_data();
    std::copy(start.data(), start.data() + programs.n_programs * K, out);
    const FitOptions options{max_iterations, std::max(1, n_starts), key};

    const auto chunk_of_programs = [&](size_t, size_t begin, size_t end) {
        DifferentiableProgram program(library, data, target, is_protected);
        for (size_t p = begin; p < end; ++p) {
            const bool can_be_valid = program.set(programs.row(p), programs.lengths[p]);
            if (program.n_constants() > K)
                throw std::invalid_argument("start: program " + std::to_string(p) + " has " +
                                            std::to_string(program.n_constants()) + " constants");
            const double error =
                can_be_valid
                    ? fit_constants(program, hash_tokens(programs.row(p), programs.lengths[p]),
                                    target, options, low + p * K, high + p * K, out + p * K)
                    : infinity;
            errors[p] = error < infinity ? error / target.total_weight
                                         : std::numeric_limits<double>::quiet_NaN();
        }
    };
    {
        const py::gil_scoped_release release;
        parallel_for(programs.n_programs, std::max(1, n_threads),
                     chunk_size(kFitsPerChunk, data.n_rows()), chunk_of_programs);
    }
    return py::make_tuple(constants, mse);
}

// The derivatives of one operator, for those who check them.
static py::tuple partials(int opcode, const Array<double>& a, const Array<double>& b,
                          const Array<double>& y) {
    if (opcode < 0 || opcode >= static_cast<int>(Op::less))
        throw std::invalid_argument("partials: no operator has this opcode");
    const size_t n = a.size();
    if (static_cast<size_t>(b.size()) != n || static_cast<size_t>(y.size()) != n)
        throw std::invalid_argument("partials: a, b and y of one length");
    Buffer in[4] = {Buffer(padded(n)), Buffer(padded(n)), Buffer(padded(n)), Buffer(padded(n))};
    Buffer out[2] = {Buffer(padded(n)), Buffer(padded(n))};
    const double* given[3] = {a.data(), b.data(), y.data()};
    for (int i = 0; i < 3; ++i) std::copy(given[i], given[i] + n, in[i].data());
    std::fill(in[3].data(), in[3].data() + padded(n), 1.0);
    const bool is_binary = kArity[opcode] == 2;
    chain(static_cast<Op>(opcode), in[3].data(), in[0].data(), in[1].data(), in[2].data(),
          out[0].data(), is_binary ? out[1].data() : nullptr, padded(n));
    return py::make_tuple(py::array_t<double>(n, out[0].data()),
                          py::array_t<double>(n, out[1].data()));
}

void bind_fitting(py::module_& m) {
    m.def("fit_constants", &fit, py::arg("library"), py::arg("tokens"), py::arg("lengths"),
          py::arg("start"), py::arg("X"), py::arg("y"), py::arg("weights") = py::none(),
          py::arg("protected") = false, py::arg("lower") = py::none(),
          py::arg("upper") = py::none(), py::arg("max_iterations") = 50, py::arg("n_starts") = 1,
          py::arg("key") = 0, py::arg("n_threads") = 1,
          "Least squares from start (B, K) -> constants (B, K), mean squared error (B,), NaN where "
          "no valid constants were found (which then are those of the start).");
    m.def("partials", &partials, py::arg("opcode"), py::arg("a"), py::arg("b"), py::arg("y"),
          "Derivatives of y = op(a, b) in a and b, each (N,); 0 in b for unary operators.");
}

}  // namespace dso
