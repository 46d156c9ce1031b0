// RuleSet, what a prior compiles to.
#include <algorithm>
#include <array>

#include "bindings/arrays.hpp"
#include "rules/rule_set.hpp"
#include "rules/walk.hpp"

namespace dso::bindings {

using namespace rules;

namespace {

// A set of tokens as Python gives it: (L,) bool.
TokenSet token_set(const RuleSet& rules, const Array<bool>& mask) {
    if (mask.ndim() != 1 || static_cast<size_t>(mask.size()) != rules.n_tokens())
        throw std::invalid_argument("a token set is a (L,) bool array");
    TokenSet set(rules.n_tokens());
    for (size_t token = 0; token < rules.n_tokens(); ++token)
        if (mask.data()[token]) set.insert(static_cast<int>(token));
    return set;
}

NewArray<bool> first_tokens(const RuleSet& rules) {
    NewArray<bool> allowed(rules.n_tokens());
    first_allowed(rules, allowed.mutable_data());
    return allowed;
}

NewArray<int64_t> mask_counts(const RuleSet& rules, const Programs& programs) {
    NewArray<int64_t> counts(rules.n_tokens());
    count_masked(programs.view(), rules, counts.mutable_data());
    return counts;
}

NewArray<int32_t> violations(const RuleSet& rules, const Programs& programs) {
    NewArray<int32_t> first(programs.size());
    first_violations(programs.view(), rules, first.mutable_data());
    return first;
}

void add_context_logits(RuleSet& rules, std::vector<int> parents, std::vector<int> siblings,
                        const Array<double>& table) {
    if (table.ndim() != 3) throw std::invalid_argument("the table has 3 axes");
    const auto size = [&](int axis) { return static_cast<int>(table.shape(axis)); };
    rules.add_context_logits({std::move(parents),
                              std::move(siblings),
                              size(0),
                              size(1),
                              {table.data(), table.data() + table.size()}});
}

void require_units(RuleSet& rules, const std::vector<std::string>& names,
                   const std::vector<Dimension>& terminals, const std::vector<Dimension>& numbers,
                   const Array<Dimension>& weights, Dimension wanted) {
    const size_t n = rules.n_tokens();
    const size_t n_weights = n * (1 + static_cast<size_t>(rules.max_arity));
    if (names.size() != n || terminals.size() != n || numbers.size() != n ||
        static_cast<size_t>(weights.size()) != n_weights)
        throw std::invalid_argument("units: rules are (L,), weights (L, 1 + arity)");
    static const std::array<std::string, 3> kNames{"ratios", "products", "power"};
    std::vector<UnitRule> kinds;
    for (const std::string& name : names) {
        const auto found = std::find(kNames.begin(), kNames.end(), name);
        if (found == kNames.end()) throw std::invalid_argument("no rule of units: " + name);
        kinds.push_back(static_cast<UnitRule>(found - kNames.begin()));
    }
    rules.require_units(Units(rules.arities, std::move(kinds), terminals, numbers,
                              {weights.data(), weights.data() + n_weights}, wanted));
}

}  // namespace

void bind_rules(py::module_& m) {
    using Mask = Array<bool>;
    py::class_<RuleSet>(m, "RuleSet", "What a prior compiles to; token sets are (L,) bool arrays.")
        .def(py::init([](const std::vector<int>& arities) {
                 for (int arity : arities)
                     if (arity < 0) throw std::invalid_argument("an arity is negative");
                 return RuleSet(arities);
             }),
             py::arg("arities"))
        .def(
            "forbid_first",
            [](RuleSet& r, const Mask& targets) { r.forbid_first(token_set(r, targets)); },
            py::arg("targets"))
        .def(
            "forbid_child",
            [](RuleSet& r, const Mask& parents, const Mask& targets, bool first, bool later) {
                r.forbid_child(token_set(r, parents), token_set(r, targets), first, later);
            },
            py::arg("parents"), py::arg("targets"), py::arg("first") = true,
            py::arg("later") = true)
        .def(
            "forbid_sibling",
            [](RuleSet& r, const Mask& siblings, const Mask& targets) {
                r.forbid_sibling(token_set(r, siblings), token_set(r, targets));
            },
            py::arg("siblings"), py::arg("targets"))
        .def(
            "forbid_only_child",
            [](RuleSet& r, const Mask& parents, const Mask& targets) {
                r.forbid_only_child(token_set(r, parents), token_set(r, targets));
            },
            py::arg("parents"), py::arg("targets"))
        .def(
            "forbid_descendant",
            [](RuleSet& r, const Mask& ancestors, const Mask& targets) {
                return r.forbid_descendant(token_set(r, ancestors), token_set(r, targets));
            },
            py::arg("ancestors"), py::arg("targets"))
        .def(
            "limit_nesting",
            [](RuleSet& r, const Mask& outer, const Mask& inner, int limit) {
                r.limit_nesting(token_set(r, outer), token_set(r, inner), limit);
            },
            py::arg("outer"), py::arg("inner"), py::arg("limit"))
        .def(
            "require_ancestors",
            [](RuleSet& r, const Mask& targets, const std::vector<int>& groups) {
                r.require_ancestors(token_set(r, targets), groups);
            },
            py::arg("targets"), py::arg("groups"))
        .def(
            "require_each",
            [](RuleSet& r, const Mask& group) { r.require_each(token_set(r, group)); },
            py::arg("group"))
        .def(
            "exclude_each_other",
            [](RuleSet& r, const Mask& group) { r.exclude_each_other(token_set(r, group)); },
            py::arg("group"))
        .def("limit_depth", &RuleSet::limit_depth, py::arg("maximum"))
        .def(
            "limit_size",
            [](RuleSet& r, const std::vector<int>& costs, std::optional<int> maximum,
               const Array<int>& argument_limits) {
                if (costs.size() != r.n_tokens() ||
                    static_cast<size_t>(argument_limits.size()) != r.n_tokens() * r.max_arity)
                    throw std::invalid_argument("costs are (L,), argument limits (L, arity)");
                std::vector<int> limits(argument_limits.data(),
                                        argument_limits.data() + argument_limits.size());
                for (int& limit : limits)
                    if (limit < 0) limit = kUnlimited;
                r.limit_size(costs, maximum.value_or(kUnlimited), limits);
            },
            py::arg("costs"), py::arg("maximum"), py::arg("argument_limits"),
            "Program size <= maximum (None: no limit); argument limits below 0 are none.")
        .def(
            "require_form",
            [](RuleSet& r, const std::vector<int>& tokens, const Array<bool>& forbidden,
               const std::vector<int>& more_tokens, const std::vector<int>& more_sizes) {
                const size_t n = tokens.size();
                if (more_tokens.size() != n || more_sizes.size() != n ||
                    static_cast<size_t>(forbidden.size()) != n * r.n_tokens())
                    throw std::invalid_argument("a form has steps (S,) and tokens (S, L)");
                std::vector<dso::rules::FormStep> steps;
                for (size_t s = 0; s < n; ++s) {
                    if (tokens[s] >= static_cast<int>(r.n_tokens()))
                        throw std::invalid_argument("a form has a token outside the library");
                    dso::rules::TokenSet set(r.n_tokens());
                    for (size_t token = 0; token < r.n_tokens(); ++token)
                        if (forbidden.data()[s * r.n_tokens() + token])
                            set.insert(static_cast<int>(token));
                    steps.push_back({tokens[s], set, more_tokens[s], more_sizes[s]});
                }
                r.require_form(std::move(steps));
            },
            py::arg("tokens"), py::arg("forbidden"), py::arg("more_tokens"), py::arg("more_sizes"),
            "Steps in prefix order: a token, or -1 for a hole with forbidden tokens (S, L).")
        .def(
            "limit_count",
            [](RuleSet& r, const Mask& group, int threshold, const Mask& forbidden) {
                r.limit_count(token_set(r, group), threshold, token_set(r, forbidden));
            },
            py::arg("group"), py::arg("threshold"), py::arg("forbidden"))
        .def(
            "require_count",
            [](RuleSet& r, const Mask& group, int minimum) {
                r.require_count(token_set(r, group), minimum);
            },
            py::arg("group"), py::arg("minimum"))
        .def(
            "limit_length",
            [](RuleSet& r, int minimum, std::optional<int> maximum) {
                r.limit_length(minimum, maximum.value_or(kUnlimited));
            },
            py::arg("minimum"), py::arg("maximum"))
        .def("look_ahead_to", &RuleSet::look_ahead_to, py::arg("length"),
             "Tell a length limit that another rule set enforces.")
        .def(
            "forbid_at_last_chance",
            [](RuleSet& r, const Mask& targets) { r.forbid_at_last_chance(token_set(r, targets)); },
            py::arg("targets"))
        .def(
            "add_logits",
            [](RuleSet& r, const std::vector<double>& logits) {
                if (logits.size() != r.n_tokens()) throw std::invalid_argument("logits are (L,)");
                r.add_logits(logits);
            },
            py::arg("logits"))
        .def("add_soft_length", &RuleSet::add_soft_length, py::arg("location"), py::arg("scale"))
        .def("add_context_logits", &add_context_logits, py::arg("parent_class"),
             py::arg("sibling_class"), py::arg("table"),
             "Add table (parents, siblings, L) to the logits, by the class (L + 1,) of the open "
             "node's parent and of the sibling before; the last class is that of none.")
        .def("require_units", &require_units, py::arg("rules"), py::arg("terminals"),
             py::arg("numbers"), py::arg("weights"), py::arg("wanted"),
             "Rules (L,) of tokens: 'ratios', 'products' or 'power'. Dimensions (L,) of terminals, "
             "values (L,) of literals, weights (L, 1 + arity) of the value and the arguments, and "
             "what is wanted of the program are images, 2^64 - 1 for what is not known. See "
             "rules/units.hpp.")
        .def(
            "fewest_tokens", [](const RuleSet& r) { return r.units.fewest(r.units.of_program()); },
            "How many tokens a program takes at least to have the units that are wanted.")
        .def("merge", &RuleSet::merge, py::arg("other"))
        .def("first_allowed", &first_tokens, "Tokens that may come first, (L,) bool.")
        .def("mask_counts", &mask_counts, py::arg("programs"),
             "How often each token was masked on the way through the programs, (L,) int64.")
        .def("violations", &violations, py::arg("programs"),
             "Position of each program's first forbidden token, -1 if it obeys every rule, its "
             "length if it is incomplete: (B,) int32.");
}

}  // namespace dso::bindings
