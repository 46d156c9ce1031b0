// The value library and the search by joins as Python sees them.
#include <limits>
#include <memory>
#include <optional>

#include "bindings/arrays.hpp"
#include "semantic/join.hpp"
#include "semantic/library.hpp"

namespace dso::bindings {

using namespace semantic;
namespace {

KeyVector key_vector(const Array<double>& values) {
    if (values.size() != static_cast<py::ssize_t>(kKeyRows))
        throw std::invalid_argument("a value vector has " + std::to_string(kKeyRows) + " numbers");
    KeyVector out;
    std::copy_n(values.data(), kKeyRows, out.begin());
    return out;
}

Form make_form(int op, int arity, int cost, const std::vector<int16_t>& pattern, bool is_symmetric,
               bool negates, const std::string& parity,
               const std::vector<std::pair<int, bool>>& inverses,
               const std::optional<Array<double>>& values, int input) {
    Form form;
    form.op = static_cast<machine::Op>(op);
    form.arity = arity;
    form.cost = cost;
    form.pattern = pattern;
    form.is_symmetric = is_symmetric;
    form.negates = negates;
    form.parity = parity == "even" ? Parity::even : parity == "odd" ? Parity::odd : Parity::none;
    form.input = input;
    const auto is_known = [](machine::Op op) { return can_apply(op); };
    if (arity < 0 || arity > 2 || cost < 1 || pattern.empty() || inverses.size() > 2 ||
        (arity > 0 && !is_known(form.op)) || (arity == 0) != values.has_value())
        throw std::invalid_argument("Form: a leaf has values, others an operator; costs are >= 1");
    for (size_t i = 0; i < inverses.size(); ++i) {
        form.inverses[i] = {static_cast<machine::Op>(inverses[i].first), inverses[i].second};
        if (form.inverses[i].op != machine::Op::python && !is_known(form.inverses[i].op))
            throw std::invalid_argument("Form: unknown inverse");
    }
    for (const int16_t item : pattern)
        if (item < kRight || (item == kLeft && arity < 1) || (item == kRight && arity < 2))
            throw std::invalid_argument("Form: a hole without argument");
    if (values) form.values = key_vector(*values);
    return form;
}

std::unique_ptr<ValueLibrary> make_library(const std::vector<Form>& forms,
                                           const std::vector<int>& arithmetic,
                                           const rules::RuleSet& rules, int bits,
                                           size_t max_entries, uint64_t max_vectors,
                                           double max_seconds, int max_cost, double shared_part,
                                           const std::vector<uint64_t>& subsets) {
    if (arithmetic.size() != 5) throw std::invalid_argument("arithmetic: five numbers of forms");
    for (const int form : arithmetic)
        if (form < -1 || form >= static_cast<int>(forms.size()))
            throw std::invalid_argument("arithmetic: no such form");
    if (bits < 4 || bits > 40 || max_entries < 1 || max_entries >= ValueLibrary::kNone)
        throw std::invalid_argument("bits: 4 to 40; max_entries: 1 to 2^32 - 2");
    for (const Form& form : forms)
        for (const int16_t item : form.pattern)
            if (item >= static_cast<int>(rules.n_tokens()))
                throw std::invalid_argument("Form: a token outside the library");
    const py::gil_scoped_release release;
    return std::make_unique<ValueLibrary>(
        Forms{forms, {arithmetic[0], arithmetic[1], arithmetic[2], arithmetic[3], arithmetic[4]}},
        rules, Resolution{bits},
        Growth{max_entries, max_vectors, max_seconds, max_cost, shared_part, subsets});
}

// Programs of different lengths as (B, T) int16 and (B,) int32.
py::tuple padded_programs(const std::vector<std::vector<int16_t>>& programs) {
    size_t width = 1;
    for (const auto& tokens : programs) width = std::max(width, tokens.size());
    py::array_t<int16_t> tokens({programs.size(), width});
    py::array_t<int32_t> lengths(programs.size());
    std::fill_n(tokens.mutable_data(), tokens.size(), machine::kPad);
    for (size_t b = 0; b < programs.size(); ++b) {
        std::copy(programs[b].begin(), programs[b].end(), tokens.mutable_data(b));
        lengths.mutable_data()[b] = static_cast<int32_t>(programs[b].size());
    }
    return py::make_tuple(tokens, lengths);
}

py::tuple library_programs(const ValueLibrary& library, const Array<int64_t>& numbers) {
    std::vector<std::vector<int16_t>> programs(numbers.size());
    for (py::ssize_t i = 0; i < numbers.size(); ++i) {
        const int64_t number = numbers.data()[i];
        if (number < 0 || static_cast<size_t>(number) >= library.size())
            throw std::invalid_argument("no entry " + std::to_string(number));
        library.write(static_cast<size_t>(number), false, programs[i]);
    }
    return padded_programs(programs);
}

// A column of the entries.
template <class T, class Get>
py::array_t<T> column(const ValueLibrary& library, Get get) {
    py::array_t<T> out(library.size());
    for (size_t i = 0; i < library.size(); ++i) out.mutable_data()[i] = get(library.entry(i));
    return out;
}

py::array_t<double> library_values(const ValueLibrary& library) {
    py::array_t<double> out({library.size(), kKeyRows});
    for (size_t i = 0; i < library.size(); ++i) {
        const KeyVector values = library.values()[i];
        std::copy(values.begin(), values.end(), out.mutable_data(i));
    }
    return out;
}

std::vector<KeyVector> key_vectors(const Array<double>& values) {
    if (values.ndim() != 2 || values.shape(1) != static_cast<py::ssize_t>(kKeyRows))
        throw std::invalid_argument("values on key rows are (Q, 4)");
    std::vector<KeyVector> out(values.shape(0));
    for (size_t q = 0; q < out.size(); ++q) std::copy_n(values.data(q), kKeyRows, out[q].begin());
    return out;
}

py::array_t<int64_t> library_find(const ValueLibrary& library, const Array<double>& wanted) {
    const std::vector<KeyVector> queries = key_vectors(wanted);
    py::array_t<int64_t> found(queries.size());
    int64_t* out = found.mutable_data();
    const py::gil_scoped_release release;
    for (size_t q = 0; q < queries.size(); ++q) {
        const uint32_t number = library.find(queries[q]);
        out[q] = number == ValueLibrary::kNone ? -1 : int64_t{number};
    }
    return found;
}

py::tuple library_nearest(const ValueLibrary& library, const Array<double>& wanted,
                          const Array<double>& weights, size_t n, size_t k) {
    const std::vector<KeyVector> queries = key_vectors(wanted), scales = key_vectors(weights);
    if (scales.size() != queries.size() || k == 0)
        throw std::invalid_argument("nearest: weights like values, k at least 1");
    k = std::min({k, n, library.size()});
    py::array_t<int64_t> entries({queries.size(), k});
    py::array_t<double> distances({queries.size(), k});
    py::array_t<int32_t> signs({queries.size(), k});
    for (size_t q = 0; q < queries.size(); ++q) {
        std::vector<ValueLibrary::Near> found;
        {
            const py::gil_scoped_release release;
            found = library.nearest(queries[q], scales[q], n, k);
        }
        for (size_t i = 0; i < k; ++i) {
            const bool is_there = i < found.size();
            entries.mutable_data(q)[i] = is_there ? int64_t{found[i].entry} : -1;
            distances.mutable_data(q)[i] =
                is_there ? found[i].distance : std::numeric_limits<double>::infinity();
            signs.mutable_data(q)[i] = is_there ? found[i].sign : 1;
        }
    }
    return py::make_tuple(entries, signs, distances);
}

py::tuple library_join(const ValueLibrary& library, const Array<double>& wanted,
                       size_t n_partners) {
    const std::vector<KeyVector> queries = key_vectors(wanted);
    std::vector<std::vector<int16_t>> programs(queries.size());
    {
        const py::gil_scoped_release release;
        for (size_t q = 0; q < queries.size(); ++q) {
            const BackwardSet target(library, queries[q], BackwardLimits{1, 0, 0, 0});
            JoinSearch joins(library, target);
            if (!joins.write_cheapest(n_partners, programs[q])) programs[q].clear();
        }
    }
    return padded_programs(programs);
}

// Everything one search works on, kept alive together.
struct BoundSearch {
    std::shared_ptr<ValueLibrary> values;
    machine::Library library;
    rules::RuleSet rules;
    machine::Columns sample, data;
    std::vector<double> sample_y, y;
    BackwardSet backward;
    JoinSearch joins;
    Verifier verifier;

    BoundSearch(std::shared_ptr<ValueLibrary> values_, const machine::Library& library_,
                const rules::RuleSet& rules_, const KeyVector& target, const Array<double>& sample_,
                const Array<double>& sample_y_, const Array<double>& X, const Array<double>& y_,
                bool is_protected, double tolerance, const BackwardLimits& limits)
        : values(std::move(values_)),
          library(library_),
          rules(rules_),
          sample(sample_.data(), sample_.shape(0), sample_.shape(1)),
          data(X.data(), X.shape(0), X.shape(1)),
          sample_y(sample_y_.data(), sample_y_.data() + sample_y_.size()),
          y(y_.data(), y_.data() + y_.size()),
          backward(*values, target, limits),
          joins(*values, backward),
          verifier(library, rules, sample, sample_y.data(), data, y.data(), is_protected,
                   tolerance) {}
};

std::unique_ptr<BoundSearch> make_search(std::shared_ptr<ValueLibrary> values,
                                         const machine::Library& library,
                                         const rules::RuleSet& rules, const Array<double>& target,
                                         const Array<double>& sample, const Array<double>& sample_y,
                                         const Array<double>& X, const Array<double>& y,
                                         bool is_protected, double tolerance, size_t max_contexts,
                                         size_t first_partners, size_t second_partners,
                                         int max_cost) {
    const auto fits = [&](const Array<double>& columns, const Array<double>& targets) {
        return columns.ndim() == 2 && targets.ndim() == 1 && columns.shape(1) == targets.size() &&
               targets.size() > 0 && columns.shape(0) >= library.n_inputs();
    };
    if (!fits(sample, sample_y) || !fits(X, y))
        throw std::invalid_argument("search: X (D, N) with the library's inputs, y (N,)");
    if (rules.n_tokens() != library.arities.size())
        throw std::invalid_argument("rules and tokens of different libraries");
    const KeyVector wanted = key_vector(target);
    const py::gil_scoped_release release;
    return std::make_unique<BoundSearch>(
        std::move(values), library, rules, wanted, sample, sample_y, X, y, is_protected, tolerance,
        BackwardLimits{max_contexts, first_partners, second_partners, max_cost});
}

py::tuple run_layer(BoundSearch& self, int cost, uint64_t max_lookups, double max_seconds,
                    size_t max_hits) {
    std::vector<Hit> hits;
    bool is_complete;
    {
        const py::gil_scoped_release release;
        is_complete =
            self.joins.run_layer(cost, {max_lookups, max_seconds, max_hits}, self.verifier, hits);
    }
    std::vector<std::vector<int16_t>> programs;
    for (const Hit& hit : hits) programs.push_back(hit.tokens);
    const py::tuple padded = padded_programs(programs);
    return py::make_tuple(is_complete, padded[0], padded[1]);
}

py::array_t<double> context_values(const BoundSearch& search) {
    py::array_t<double> out({search.backward.size(), kKeyRows});
    for (size_t i = 0; i < search.backward.size(); ++i) {
        const KeyVector values = search.backward.values()[i];
        std::copy(values.begin(), values.end(), out.mutable_data(i));
    }
    return out;
}

py::tuple context_table(const BoundSearch& search) {
    const size_t n = search.backward.size();
    py::array_t<int64_t> parent(n), other(n), form(n), slot(n);
    for (size_t i = 0; i < n; ++i) {
        const Context& context = search.backward.context(i);
        parent.mutable_data()[i] = context.parent;
        other.mutable_data()[i] =
            context.other == ValueLibrary::kNone ? -1 : int64_t{context.other};
        form.mutable_data()[i] = context.form;
        slot.mutable_data()[i] = context.slot;
    }
    return py::make_tuple(parent, other, form, slot);
}

py::tuple contexts(const BoundSearch& search, const Array<int64_t>& numbers) {
    std::vector<std::vector<int16_t>> programs(numbers.size());
    ExpressionWriter writer(*search.values);
    for (py::ssize_t i = 0; i < numbers.size(); ++i) {
        const int64_t number = numbers.data()[i];
        if (number < 0 || static_cast<size_t>(number) >= search.backward.size())
            throw std::invalid_argument("no context " + std::to_string(number));
        if (!writer.write_context(search.backward, static_cast<size_t>(number), programs[i]))
            programs[i].clear();
    }
    return padded_programs(programs);
}

}  // namespace

void bind_semantic(py::module_& m) {
    m.attr("KEY_ROWS") = kKeyRows;
    m.attr("LEFT") = kLeft;
    m.attr("RIGHT") = kRight;
    m.attr("HOLE") = kHole;
    m.def("can_apply", [](int op) { return can_apply(static_cast<machine::Op>(op)); });
    py::class_<Form>(m, "Form", "One way to make an expression from none, one or two others.")
        .def(py::init(&make_form), py::arg("op"), py::arg("arity"), py::arg("cost"),
             py::arg("pattern"), py::arg("is_symmetric") = false, py::arg("negates") = false,
             py::arg("parity") = "none", py::arg("inverses") = std::vector<std::pair<int, bool>>{},
             py::arg("values") = std::nullopt, py::arg("input") = -1);
    py::class_<ValueLibrary, std::shared_ptr<ValueLibrary>>(
        m, "ValueLibrary", "Small expressions, one per distinct value vector, in order of cost.")
        .def(py::init(&make_library), py::arg("forms"), py::arg("arithmetic"), py::arg("rules"),
             py::arg("bits"), py::arg("max_entries"), py::arg("max_vectors"),
             py::arg("max_seconds"), py::arg("max_cost"), py::arg("shared_part"),
             py::arg("subsets"))
        .def("__len__", &ValueLibrary::size)
        .def_property_readonly("n_vectors", &ValueLibrary::n_vectors)
        .def_property_readonly("n_bytes", [](const ValueLibrary& l) { return l.bytes(); })
        .def_static("entries_in", &ValueLibrary::entries_in, py::arg("bytes"))
        .def_property_readonly("stopped_by", &ValueLibrary::stopped_by)
        .def_property_readonly("values", &library_values, "(n, 4)")
        .def_property_readonly("costs",
                               [](const ValueLibrary& l) {
                                   return column<int32_t>(
                                       l, [](const Entry& e) { return int32_t{e.cost}; });
                               })
        .def_property_readonly("lengths",
                               [](const ValueLibrary& l) {
                                   return column<int32_t>(
                                       l, [](const Entry& e) { return int32_t{e.length}; });
                               })
        .def("programs", &library_programs, py::arg("numbers"), "-> tokens (B, T), lengths (B,)")
        .def("find", &library_find, py::arg("values"),
             "Entry with these values (Q, 4) or their negatives, -1 for none: (Q,).")
        .def("nearest", &library_nearest, py::arg("values"), py::arg("weights"), py::arg("n"),
             py::arg("k"),
             "-> entries (Q, k), signs (Q, k), distances (Q, k) of the nearest of the first n.")
        .def("join", &library_join, py::arg("values"), py::arg("n_partners"),
             "-> tokens (Q, T), lengths (Q,) of entries or pairs with these values; 0 for none.");
    py::class_<BoundSearch>(m, "SemanticSearch", "Joins of entries that give the target.")
        .def(py::init(&make_search), py::arg("values"), py::arg("library"), py::arg("rules"),
             py::arg("target"), py::arg("sample"), py::arg("sample_y"), py::arg("X"), py::arg("y"),
             py::arg("is_protected"), py::arg("tolerance"), py::arg("max_contexts"),
             py::arg("first_partners"), py::arg("second_partners"), py::arg("max_cost"))
        .def("run_layer", &run_layer, py::arg("cost"), py::arg("max_lookups"),
             py::arg("max_seconds"), py::arg("max_hits"),
             "-> whether it went to its end, tokens (B, T), lengths (B,)")
        .def("has_layer", [](const BoundSearch& s, int cost) { return s.joins.has_layer(cost); })
        .def_property_readonly("n_lookups",
                               [](const BoundSearch& s) { return s.joins.n_lookups(); })
        .def_property_readonly("n_verified",
                               [](const BoundSearch& s) { return s.joins.n_verified(); })
        .def_property_readonly("n_vectors",
                               [](const BoundSearch& s) { return s.backward.n_vectors(); })
        .def_property_readonly("context_values", &context_values,
                               "What must stand in the hole of each context, (n, 4).")
        .def_property_readonly("context_table", &context_table,
                               "Of each context: parent (-1: y), entry beside the hole (-1: none), "
                               "form, slot of the hole; each (n,).")
        .def(
            "contexts", &contexts, py::arg("numbers"),
            "Tokens of contexts around a HOLE, (B, T), lengths (B,); 0 where it cannot be written.")
        .def_property_readonly("n_contexts",
                               [](const BoundSearch& s) { return s.backward.size(); });
}

}  // namespace dso::bindings
