// Library, programs and data: what most calls take.
#include "bindings/arrays.hpp"

namespace dso::bindings {

using machine::Data;
using machine::Library;
using machine::Op;

Programs::Programs(const Array<int16_t>& tokens, const Array<int32_t>& lengths,
                   const OptionalArray& constants)
    : tokens_(tokens), lengths_(lengths), constants_(constants) {
    if (tokens.ndim() != 2 || lengths.ndim() != 1 || lengths.shape(0) != tokens.shape(0) ||
        (constants && (constants->ndim() != 2 || constants->shape(0) != tokens.shape(0))))
        throw std::invalid_argument("programs: tokens (B, T), lengths (B,), constants (B, K)");
    for (py::ssize_t b = 0; b < lengths.size(); ++b)
        if (lengths.data()[b] < 0 || lengths.data()[b] > tokens.shape(1))
            throw std::invalid_argument("programs: a length lies outside [0, T]");
    view_ = {tokens_.data(),
             lengths_.data(),
             constants_ ? constants_->data() : nullptr,
             static_cast<size_t>(tokens.shape(0)),
             static_cast<size_t>(tokens.shape(1)),
             static_cast<size_t>(constants_ ? constants_->shape(1) : 0)};
}

namespace {

using Definitions =
    std::vector<std::tuple<std::vector<int>, std::vector<int>, std::vector<double>>>;

// Refuses what is not one complete formula of `n_arguments` arguments.
machine::Definition make_definition(const Definitions::value_type& given) {
    const auto& [opcodes, operands, values] = given;
    if (operands.size() != opcodes.size() || values.size() != opcodes.size())
        throw std::invalid_argument("a definition: three lists of one length");
    machine::Definition definition;
    int height = 0;
    for (size_t i = 0; i < opcodes.size(); ++i) {
        const auto op = static_cast<Op>(opcodes[i]);
        if (!machine::is_operator(op) && op != Op::input && op != Op::literal)
            throw std::invalid_argument("a definition: operators, arguments and numbers");
        height -= machine::kArity[opcodes[i]];
        if (height < 0) throw std::invalid_argument("a definition: in postorder");
        ++height;
        definition.nodes.push_back({op, operands[i], values[i]});
    }
    if (height != 1) throw std::invalid_argument("a definition: one formula");
    return definition;
}

void check_arguments(const machine::Definition& definition, int32_t arity) {
    for (const auto& node : definition.nodes)
        if (node.op == Op::input && (node.operand < 0 || node.operand >= arity))
            throw std::invalid_argument("a definition: no such argument");
}

Library make_library(const Array<int32_t>& arities, const Array<int32_t>& opcodes,
                     const Array<int32_t>& operands, const Array<double>& values,
                     const Definitions& definitions) {
    const py::ssize_t n_tokens = arities.size();
    if (opcodes.size() != n_tokens || operands.size() != n_tokens || values.size() != n_tokens)
        throw std::invalid_argument("Library: four arrays of length L");
    Library library;
    for (const auto& given : definitions) library.definitions.push_back(make_definition(given));
    for (py::ssize_t i = 0; i < n_tokens; ++i) {
        const int32_t code = opcodes.data()[i];
        if (code < static_cast<int32_t>(Op::python) || code >= static_cast<int32_t>(Op::count))
            throw std::invalid_argument("Library: unknown opcode");
        if (code == static_cast<int32_t>(Op::defined))
            check_arguments(library.definitions.at(operands.data()[i]), arities.data()[i]);
        else if (code >= 0 && machine::kArity[code] != arities.data()[i])
            throw std::invalid_argument("Library: arity and opcode disagree");
        const auto op = static_cast<Op>(code);
        if ((op == Op::input || op == Op::less) && operands.data()[i] < 0)
            throw std::invalid_argument("Library: negative column");
        library.arities.push_back(arities.data()[i]);
        library.opcodes.push_back(op);
        library.operands.push_back(operands.data()[i]);
        library.values.push_back(values.data()[i]);
    }
    return library;
}

machine::Loss make_loss(int n_arguments, const Definitions::value_type& value,
                        const Definitions::value_type& slope, const Definitions::value_type& second,
                        double softening) {
    if (n_arguments != 2 && n_arguments != 3)
        throw std::invalid_argument("Loss: of prediction, target and perhaps weight");
    machine::Definition parts[] = {make_definition(value), make_definition(slope),
                                   make_definition(second)};
    for (const auto& part : parts) check_arguments(part, n_arguments);
    return {n_arguments, parts[0], parts[1], parts[2], softening};
}

// Keeps an array alive, also where the last of its users is not Python.
std::shared_ptr<const void> owner_of(const Array<double>& array) {
    return {new Array<double>(array), [](const Array<double>* kept) {
                const py::gil_scoped_acquire gil;
                delete kept;
            }};
}

std::shared_ptr<Data> make_data(const Array<double>& X, const OptionalArray& y,
                                const OptionalArray& weights, bool is_protected) {
    if (X.ndim() != 2) throw std::invalid_argument("X: (D, N)");
    const auto fits = [&](const OptionalArray& values) {
        return !values || (values->ndim() == 1 && values->shape(0) == X.shape(1));
    };
    if (!fits(y) || !fits(weights) || (weights && !y))
        throw std::invalid_argument("y and weights: (N,) like the rows of X");
    const auto n_rows = static_cast<size_t>(X.shape(1));
    auto data = std::make_shared<Data>(X.data(), static_cast<size_t>(X.shape(0)), n_rows,
                                       is_protected, owner_of(X));
    if (y) data->target.emplace(y->data(), weights ? weights->data() : nullptr, n_rows);
    return data;
}

NewArray<uint64_t> keys_of(const Programs& programs) {
    const machine::ProgramView& view = programs.view();
    NewArray<uint64_t> keys(view.n_programs);
    for (size_t b = 0; b < view.n_programs; ++b)
        keys.mutable_data()[b] = machine::hash_tokens(view.row(b), view.lengths[b]);
    return keys;
}

}  // namespace

void bind_arguments(py::module_& m) {
    py::class_<Library>(m, "Library", "What each token means to the machine.")
        .def(py::init(&make_library), py::arg("arities"), py::arg("opcodes"), py::arg("operands"),
             py::arg("values"), py::arg("definitions") = Definitions{},
             "Definitions: opcodes, operands and values of each, in postorder.")
        .def_property_readonly("n_inputs", &Library::n_inputs)
        .def("__len__", [](const Library& library) { return library.arities.size(); });
    py::class_<machine::Loss>(m, "Loss", "A function of prediction, target and perhaps weight.")
        .def(py::init(&make_loss), py::arg("n_arguments"), py::arg("value"), py::arg("slope"),
             py::arg("second"), py::arg("softening"),
             "Definitions of the loss and of its two derivatives in the prediction.");
    py::class_<Programs>(m, "Programs", "Programs in prefix order, without a library.")
        .def(py::init<const Array<int16_t>&, const Array<int32_t>&, const OptionalArray&>(),
             py::arg("tokens"), py::arg("lengths"), py::arg("constants") = py::none(),
             "Tokens (B, T), lengths (B,), constants (B, K).")
        .def("keys", &keys_of, "64-bit identity of each token sequence, (B,).")
        .def("__len__", &Programs::size);
    py::class_<Data, std::shared_ptr<Data>>(
        m, "Data",
        "What programs are run on and compared with; of many rows, the inputs stay where they are.")
        .def(py::init(&make_data), py::arg("X"), py::arg("y") = py::none(),
             py::arg("weights") = py::none(), py::arg("protected") = false,
             "X (D, N), y and weights (N,). Protected: the result of a program alone must be "
             "finite.");
}

}  // namespace dso::bindings
