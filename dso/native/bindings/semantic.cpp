// The value library and the search by joins.
#include <pybind11/functional.h>

#include <limits>
#include <memory>

#include "bindings/arrays.hpp"
#include "semantic/affine.hpp"
#include "semantic/library.hpp"
#include "semantic/search.hpp"

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
               const std::vector<std::pair<int, bool>>& inverses, const OptionalArray& values,
               int input) {
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
                                           const Arithmetic& arithmetic,
                                           const rules::RuleSet& rules, int bits,
                                           const Growth& growth) {
    for (const int form :
         {arithmetic.add, arithmetic.sub, arithmetic.mul, arithmetic.div, arithmetic.negate})
        if (form < -1 || form >= static_cast<int>(forms.size()))
            throw std::invalid_argument("arithmetic: no such form");
    if (bits < 4 || bits > 40 || growth.max_entries < 1 ||
        growth.max_entries >= ValueLibrary::kNone)
        throw std::invalid_argument("bits: 4 to 40; max_entries: 1 to 2^32 - 2");
    for (const Form& form : forms)
        for (const int16_t item : form.pattern)
            if (item >= static_cast<int>(rules.n_tokens()))
                throw std::invalid_argument("Form: a token outside the library");
    const py::gil_scoped_release release;
    return std::make_unique<ValueLibrary>(Forms{forms, arithmetic}, rules, Resolution{bits},
                                          growth);
}

using Padded = std::tuple<NewArray<int16_t>, NewArray<int32_t>>;

// Programs of different lengths as (B, T) int16 and (B,) int32.
Padded padded_programs(const std::vector<std::vector<int16_t>>& programs) {
    size_t width = 1;
    for (const auto& tokens : programs) width = std::max(width, tokens.size());
    NewArray<int16_t> tokens({programs.size(), width});
    NewArray<int32_t> lengths(programs.size());
    std::fill_n(tokens.mutable_data(), tokens.size(), machine::kPad);
    for (size_t b = 0; b < programs.size(); ++b) {
        std::copy(programs[b].begin(), programs[b].end(), tokens.mutable_data(b));
        lengths.mutable_data()[b] = static_cast<int32_t>(programs[b].size());
    }
    return {tokens, lengths};
}

Padded library_programs(const ValueLibrary& library, const Array<int64_t>& numbers) {
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
NewArray<T> column(const ValueLibrary& library, Get get) {
    NewArray<T> out(library.size());
    for (size_t i = 0; i < library.size(); ++i) out.mutable_data()[i] = get(library.entry(i));
    return out;
}

NewArray<double> library_values(const ValueLibrary& library) {
    NewArray<double> out({library.size(), kKeyRows});
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

NewArray<int64_t> library_find(const ValueLibrary& library, const Array<double>& wanted) {
    const std::vector<KeyVector> queries = key_vectors(wanted);
    NewArray<int64_t> found(queries.size());
    int64_t* out = found.mutable_data();
    const py::gil_scoped_release release;
    for (size_t q = 0; q < queries.size(); ++q) {
        const uint32_t number = library.find(queries[q]);
        out[q] = number == ValueLibrary::kNone ? -1 : int64_t{number};
    }
    return found;
}

using Nearest = std::tuple<NewArray<int64_t>, NewArray<int32_t>, NewArray<double>>;

Nearest library_nearest(const ValueLibrary& library, const Array<double>& wanted,
                        const Array<double>& weights, size_t n, size_t k) {
    const std::vector<KeyVector> queries = key_vectors(wanted), scales = key_vectors(weights);
    if (scales.size() != queries.size() || k == 0)
        throw std::invalid_argument("nearest: weights like values, k at least 1");
    k = std::min({k, n, library.size()});
    NewArray<int64_t> entries({queries.size(), k});
    NewArray<double> distances({queries.size(), k});
    NewArray<int32_t> signs({queries.size(), k});
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
    return {entries, signs, distances};
}

Padded library_join(const ValueLibrary& library, const Array<double>& wanted, size_t n_partners) {
    const std::vector<KeyVector> queries = key_vectors(wanted);
    std::vector<std::vector<int16_t>> programs;
    {
        const py::gil_scoped_release release;
        programs = join_cheapest(library, queries, n_partners);
    }
    return padded_programs(programs);
}

std::unique_ptr<Search> make_search(std::shared_ptr<ValueLibrary> values,
                                    const machine::Library& library, const rules::RuleSet& rules,
                                    const Array<double>& target,
                                    std::shared_ptr<machine::Data> sample,
                                    std::shared_ptr<machine::Data> data, double tolerance,
                                    size_t max_contexts, size_t first_partners,
                                    size_t second_partners, int max_cost,
                                    const std::string& sameness, std::vector<int16_t> prefix) {
    if (sameness != "exact" && sameness != "scale" && sameness != "shift")
        throw std::invalid_argument("sameness: exact, scale or shift");
    const Sameness kind = sameness == "exact"   ? Sameness::exact
                          : sameness == "scale" ? Sameness::scale
                                                : Sameness::shift;
    for (const int16_t token : prefix)
        if (token < 0 || token >= static_cast<int>(rules.n_tokens()))
            throw std::invalid_argument("prefix: a token outside the library");
    const KeyVector wanted = key_vector(target);
    const py::gil_scoped_release release;
    return std::make_unique<Search>(
        std::move(values), library, rules, wanted, std::move(sample), std::move(data), tolerance,
        BackwardLimits{max_contexts, first_partners, second_partners, max_cost}, kind,
        std::move(prefix));
}

std::tuple<bool, NewArray<int16_t>, NewArray<int32_t>> run_layer(Search& self, int cost,
                                                                 uint64_t max_lookups,
                                                                 size_t max_hits,
                                                                 const IsOver& is_over) {
    std::vector<Hit> hits;
    bool is_complete;
    {
        const py::gil_scoped_release release;
        is_complete =
            self.joins.run_layer(cost, {max_lookups, max_hits, is_over}, self.verifier, hits);
    }
    std::vector<std::vector<int16_t>> programs;
    for (const Hit& hit : hits) programs.push_back(hit.tokens);
    return std::tuple_cat(std::make_tuple(is_complete), padded_programs(programs));
}

NewArray<bool> knows_difference(const Search& search) {
    NewArray<bool> out(search.backward.size());
    for (size_t i = 0; i < search.backward.size(); ++i)
        out.mutable_data()[i] = search.backward.context(i).sameness != Sameness::scale;
    return out;
}

NewArray<double> context_values(const Search& search) {
    NewArray<double> out({search.backward.size(), kKeyRows});
    for (size_t i = 0; i < search.backward.size(); ++i) {
        const KeyVector values = search.backward.values()[i];
        std::copy(values.begin(), values.end(), out.mutable_data(i));
    }
    return out;
}

using ContextTable =
    std::tuple<NewArray<int64_t>, NewArray<int64_t>, NewArray<int64_t>, NewArray<int64_t>>;

ContextTable context_table(const Search& search) {
    const size_t n = search.backward.size();
    NewArray<int64_t> parent(n), other(n), form(n), slot(n);
    for (size_t i = 0; i < n; ++i) {
        const Context& context = search.backward.context(i);
        parent.mutable_data()[i] = context.parent;
        other.mutable_data()[i] =
            context.other == ValueLibrary::kNone ? -1 : int64_t{context.other};
        form.mutable_data()[i] = context.form;
        slot.mutable_data()[i] = context.slot;
    }
    return {parent, other, form, slot};
}

// Contexts, and what each wants up to scale and offset.
std::tuple<NewArray<int64_t>, NewArray<int16_t>, NewArray<int32_t>, uint64_t> affine_pairs(
    const Search& search, size_t n_entries, uint64_t max_lookups, size_t max_found,
    const IsOver& is_over) {
    AffinePairs pairs;
    std::vector<std::vector<int16_t>> programs;
    std::vector<int64_t> numbers;
    {
        const py::gil_scoped_release release;
        pairs = find_affine_pairs(*search.values, search.backward,
                                  {n_entries, max_lookups, max_found, is_over});
        ExpressionWriter writer(*search.values);
        std::vector<int16_t> tokens;
        for (const Join& join : pairs.found) {
            if (!writer.write_join(join, tokens)) continue;
            programs.push_back(tokens);
            numbers.push_back(static_cast<int64_t>(join.context));
        }
    }
    NewArray<int64_t> contexts(numbers.size());
    std::copy(numbers.begin(), numbers.end(), contexts.mutable_data());
    return std::tuple_cat(std::make_tuple(contexts), padded_programs(programs),
                          std::make_tuple(pairs.n_lookups));
}

Padded contexts(const Search& search, const Array<int64_t>& numbers) {
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
    m.def(
        "can_apply", [](int op) { return can_apply(static_cast<machine::Op>(op)); }, py::arg("op"));
    py::class_<Form>(m, "Form", "One way to make an expression from none, one or two others.")
        .def(py::init(&make_form), py::arg("op"), py::arg("arity"), py::arg("cost"),
             py::arg("pattern"), py::arg("is_symmetric") = false, py::arg("negates") = false,
             py::arg("parity") = "none", py::arg("inverses") = std::vector<std::pair<int, bool>>{},
             py::arg("values") = std::nullopt, py::arg("input") = -1);
    py::class_<Arithmetic>(m, "Arithmetic",
                           "Numbers of the forms that combine and negate expressions, -1 for none.")
        .def(py::init([](int add, int sub, int mul, int div, int negate) {
                 return Arithmetic{add, sub, mul, div, negate};
             }),
             py::kw_only(), py::arg("add") = -1, py::arg("sub") = -1, py::arg("mul") = -1,
             py::arg("div") = -1, py::arg("negate") = -1);
    py::class_<Growth>(m, "Growth", "How far a value library grows.")
        .def(py::init([](size_t max_entries, uint64_t max_vectors, int max_cost, double shared_part,
                         const std::vector<uint64_t>& subsets,
                         const std::optional<IsOver>& is_over) {
                 return Growth{max_entries, max_vectors, max_cost,
                               shared_part, subsets,     is_over.value_or(IsOver())};
             }),
             py::kw_only(), py::arg("max_entries"), py::arg("max_vectors"), py::arg("max_cost"),
             py::arg("shared_part"), py::arg("subsets"), py::arg("is_over") = std::nullopt,
             "`is_over` is asked every 50 milliseconds.");
    py::class_<ValueLibrary, std::shared_ptr<ValueLibrary>>(
        m, "ValueLibrary", "Small expressions, one per distinct value vector, in order of cost.")
        .def(py::init(&make_library), py::arg("forms"), py::arg("arithmetic"), py::arg("rules"),
             py::kw_only(), py::arg("bits"), py::arg("growth"))
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
    py::class_<Search>(m, "SemanticSearch", "Joins of entries that give the target.")
        .def(py::init(&make_search), py::arg("values").none(false), py::arg("library"),
             py::arg("rules"), py::arg("target"), py::arg("sample").none(false),
             py::arg("data").none(false), py::kw_only(), py::arg("tolerance"),
             py::arg("max_contexts"), py::arg("first_partners"), py::arg("second_partners"),
             py::arg("max_cost"), py::arg("sameness") = "exact",
             py::arg("prefix") = std::vector<int16_t>{})
        .def("run_layer", &run_layer, py::arg("cost"), py::arg("max_lookups"), py::arg("max_hits"),
             py::arg("is_over"), "-> whether it went to its end, tokens (B, T), lengths (B,)")
        .def(
            "has_layer", [](const Search& s, int cost) { return s.joins.has_layer(cost); },
            py::arg("cost"))
        .def(
            "affine_pairs", &affine_pairs, py::arg("n_entries"), py::arg("max_lookups"),
            py::arg("max_found"), py::arg("is_over"),
            "-> contexts (B,), pairs of entries with their values up to scale and offset as tokens "
            "(B, T) and lengths (B,), and how many were looked up.")
        .def_property_readonly("n_lookups", [](const Search& s) { return s.joins.n_lookups(); })
        .def_property_readonly("n_verified", [](const Search& s) { return s.joins.n_verified(); })
        .def_property_readonly("n_vectors", [](const Search& s) { return s.backward.n_vectors(); })
        .def_property_readonly("context_values", &context_values,
                               "What must stand in the hole of each context, (n, 4).")
        .def_property_readonly("knows_difference", &knows_difference,
                               "Whether these values are known up to an offset at most, not up to "
                               "a factor, (n,).")
        .def_property_readonly("context_table", &context_table,
                               "Of each context: parent (-1: y), entry beside the hole (-1: none), "
                               "form, slot of the hole; each (n,).")
        .def(
            "contexts", &contexts, py::arg("numbers"),
            "Tokens of contexts around a HOLE, (B, T), lengths (B,); 0 where it cannot be written.")
        .def_property_readonly("n_contexts", [](const Search& s) { return s.backward.size(); });
}

}  // namespace dso::bindings
