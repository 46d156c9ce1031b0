// Execution, derivatives and inverses of programs and operators.
#include <limits>

#include "bindings/arrays.hpp"
#include "machine/holed_program.hpp"
#include "machine/inversion.hpp"
#include "machine/partials.hpp"
#include "machine/vector_math.hpp"

namespace dso::bindings {

using namespace machine;

namespace {

using Executed = std::tuple<NewArray<double>, NewArray<uint8_t>, NewArray<int32_t>>;

Executed execute_programs(const Library& library, const Programs& programs, const Data& data,
                          int n_threads) {
    NewArray<double> values({programs.size(), data.columns.n_rows()});
    VerdictArrays verdicts(programs.size());
    double* out = values.mutable_data();
    const Verdicts to = verdicts.view();
    {
        const py::gil_scoped_release release;
        execute(make_batch(library, programs, data, n_threads), out, to);
    }
    return {values, verdicts.cause, verdicts.node};
}

// A number per program, that `compute` fills in.
template <class Compute>
Executed reduced(const Programs& programs, Compute compute) {
    NewArray<double> mean(programs.size());
    VerdictArrays verdicts(programs.size());
    double* out = mean.mutable_data();
    const Verdicts to = verdicts.view();
    {
        const py::gil_scoped_release release;
        compute(out, to);
    }
    return {mean, verdicts.cause, verdicts.node};
}

Executed mse_of_programs(const Library& library, const Programs& programs, const Data& data,
                         int n_threads) {
    return reduced(programs, [&](double* mean, const Verdicts& verdicts) {
        mean_squared_error(make_batch(library, programs, data, n_threads), mean, verdicts);
    });
}

Executed loss_of_programs(const Library& library, const Programs& programs, const Data& data,
                          const Loss& loss, int n_threads) {
    return reduced(programs, [&](double* mean, const Verdicts& verdicts) {
        mean_loss(make_batch(library, programs, data, n_threads), loss, mean, verdicts);
    });
}

Executed fraction_of_programs(const Library& library, const Programs& programs, const Data& data,
                              double relative, double absolute, int n_threads) {
    return reduced(programs, [&](double* mean, const Verdicts& verdicts) {
        fraction_within(make_batch(library, programs, data, n_threads), relative, absolute, mean,
                        verdicts);
    });
}

std::tuple<NewArray<double>, NewArray<bool>> invert(const Library& library,
                                                    const Programs& programs, const Data& data,
                                                    const Array<int32_t>& positions,
                                                    int n_threads) {
    if (positions.ndim() != 1 || static_cast<size_t>(positions.size()) != programs.size())
        throw std::invalid_argument("positions: (B,)");
    NewArray<double> wanted({programs.size(), data.columns.n_rows()});
    NewArray<bool> is_finite(programs.size());
    double* out = wanted.mutable_data();
    bool* finite = is_finite.mutable_data();
    {
        const py::gil_scoped_release release;
        invert_programs(make_batch(library, programs, data, n_threads), positions.data(), out,
                        finite);
    }
    return {wanted, is_finite};
}

// ---- operators
// -----------------------------------------------------------------------------------

Op operator_of(int opcode) {
    if (opcode < 0 || opcode >= static_cast<int>(Op::less))
        throw std::invalid_argument("no operator has the opcode " + std::to_string(opcode));
    return static_cast<Op>(opcode);
}

// A row (N,) padded to whole lanes.
Buffer padded_row(const Array<double>& values, size_t n) {
    if (static_cast<size_t>(values.size()) != n)
        throw std::invalid_argument("arguments of an operator: (N,), all of one length");
    Buffer made(padded(n));
    std::copy(values.data(), values.data() + n, made.data());
    return made;
}

std::tuple<NewArray<double>, NewArray<double>> partials(int opcode, const Array<double>& a,
                                                        const Array<double>& b,
                                                        const Array<double>& y) {
    const Op op = operator_of(opcode);
    const size_t n = a.size();
    Buffer in[3] = {padded_row(a, n), padded_row(b, n), padded_row(y, n)};
    Buffer ones(padded(n)), out[2] = {Buffer(padded(n)), Buffer(padded(n))};
    std::fill(ones.data(), ones.data() + padded(n), 1.0);
    chain(op, ones.data(), in[0].data(), in[1].data(), in[2].data(), out[0].data(),
          kArity[opcode] == 2 ? out[1].data() : nullptr, padded(n));
    return {NewArray<double>(n, out[0].data()), NewArray<double>(n, out[1].data())};
}

NewArray<double> invert_operator(int opcode, int argument, const Array<double>& y,
                                 const Array<double>& other) {
    if (argument < 0 || argument > 1)
        throw std::invalid_argument("invert_operator: argument 0 or 1");
    const Op op = operator_of(opcode);
    const size_t n = y.size();
    Buffer a = padded_row(y, n), b = padded_row(other, n), out(padded(n));
    machine::invert(op, argument, a.data(), b.data(), out.data(), padded(n));
    return NewArray<double>(n, out.data());
}

// What Python can check its own table against.
struct OperatorRow {
    std::string name;
    int opcode, arity;
    double period;
    bool is_even;
};

std::vector<OperatorRow> operator_table() {
    constexpr const char* names[] = {
#define ROW(name, ...) #name,
        DSO_OPERATORS(ROW, ROW)
#undef ROW
    };
    std::vector<OperatorRow> rows;
    for (int opcode = 0; opcode < static_cast<int>(Op::less); ++opcode) {
        const Branches branches =
            branches_of(static_cast<Op>(opcode), std::numeric_limits<double>::quiet_NaN());
        rows.push_back(
            {names[opcode], opcode, kArity[opcode], branches.period, branches.mirror == 0});
    }
    return rows;
}

void bind_operators(py::module_& m) {
    m.attr("OP_PYTHON") = static_cast<int>(Op::python);
    m.attr("OP_LESS") = static_cast<int>(Op::less);
    m.attr("OP_INPUT") = static_cast<int>(Op::input);
    m.attr("OP_LITERAL") = static_cast<int>(Op::literal);
    m.attr("OP_CONSTANT") = static_cast<int>(Op::constant);
    m.attr("OP_POLY") = static_cast<int>(Op::poly);
    m.attr("OP_DEFINED") = static_cast<int>(Op::defined);
    m.attr("VECTOR_MATH") = static_cast<bool>(DSO_VECTOR_MATH);
    py::class_<OperatorRow>(m, "OperatorRow", "A row of the native operator table.")
        .def_readonly("name", &OperatorRow::name)
        .def_readonly("opcode", &OperatorRow::opcode)
        .def_readonly("arity", &OperatorRow::arity)
        .def_readonly("period", &OperatorRow::period, "0 for none")
        .def_readonly("is_even", &OperatorRow::is_even);
    m.def("operator_table", &operator_table);
    m.def(
        "is_pole",
        [](int opcode, double a, double b) { return is_pole(static_cast<Op>(opcode), a, b); },
        py::arg("opcode"), py::arg("a"), py::arg("b"),
        "Whether an infinite value at a, b is a division by zero.");
    m.def("partials", &partials, py::arg("opcode"), py::arg("a"), py::arg("b"), py::arg("y"),
          "Derivatives of y = op(a, b) in a and b, each (N,); 0 in b for unary operators.");
    m.def(
        "has_inverse",
        [](int opcode, int argument) { return has_inverse(static_cast<Op>(opcode), argument); },
        py::arg("opcode"), py::arg("argument"));
    m.def("invert_operator", &invert_operator, py::arg("opcode"), py::arg("argument"), py::arg("y"),
          py::arg("other"),
          "The argument of an operator that gives y, from the other argument; each (N,).");
}

}  // namespace

void bind_machine(py::module_& m) {
    bind_operators(m);
    m.def("execute", &execute_programs, py::arg("library"), py::arg("programs"), py::arg("data"),
          py::arg("n_threads") = 1, "-> values (B, N), cause (B,), node (B,).");
    m.def(
        "mean_squared_error", &mse_of_programs, py::arg("library"), py::arg("programs"),
        py::arg("data"), py::arg("n_threads") = 1,
        "Mean over rows of (prediction - y)^2 -> (B,), NaN where invalid; cause (B,), node (B,).");
    m.def("mean_loss", &loss_of_programs, py::arg("library"), py::arg("programs"), py::arg("data"),
          py::arg("loss"), py::arg("n_threads") = 1,
          "Mean over rows of a loss -> (B,), NaN where invalid; cause (B,), node (B,).");
    m.def("fraction_within", &fraction_of_programs, py::arg("library"), py::arg("programs"),
          py::arg("data"), py::arg("relative"), py::arg("absolute"), py::arg("n_threads") = 1,
          "Share of rows with |prediction - y| < relative |y| + absolute; cause (B,), node (B,).");
    m.def("invert_programs", &invert, py::arg("library"), py::arg("programs"), py::arg("data"),
          py::arg("positions"), py::arg("n_threads") = 1,
          "What the node at each position (B,) ought to be for the program to give y: values "
          "(B, N), NaN where nothing or anything does, and whether all are finite (B,).");
}

}  // namespace dso::bindings
