// RuleSet, the network in both precisions, sampling, replay and gradients.
#include <algorithm>
#include <limits>
#include <memory>
#include <optional>

#include "bindings/arrays.hpp"
#include "policy/network.hpp"
#include "policy/sampler.hpp"
#include "policy/stepper.hpp"
#include "threads.hpp"

namespace dso {
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

void check_tokens(const ProgramView& programs, size_t n_tokens) {
    for (size_t b = 0; b < programs.n_programs; ++b)
        for (int t = 0; t < programs.lengths[b]; ++t)
            if (programs.row(b)[t] < 0 || static_cast<size_t>(programs.row(b)[t]) >= n_tokens)
                throw std::invalid_argument("programs: a token lies outside the library");
}

ProgramView checked_view(const Array<int16_t>& tokens, const Array<int32_t>& lengths,
                         size_t n_tokens) {
    static const double none = 0;
    const std::vector<py::ssize_t> shape{lengths.size(), 0};
    ProgramView view = view_programs(tokens, lengths, Array<double>(shape));
    view.constants = &none;
    check_tokens(view, n_tokens);
    return view;
}

constexpr size_t kAnyTable = std::numeric_limits<int32_t>::max();

// Whether every symbol that may be observed is a row of a table of `n_rows`.
void check_observation(const Observation& observation, const RuleSet& rules, size_t n_rows) {
    const auto n_tokens = static_cast<int>(rules.n_tokens());
    bool fits = static_cast<int>(observation.parent_index.size()) == n_tokens;
    for (int token = 0; fits && observation.parent >= 0 && token < n_tokens; ++token) {
        const int index = observation.parent_index[token];
        fits = rules.arities[token] == 0 || (index >= 0 && index < observation.n_parents);
    }
    const auto last_row = [](int first, int n_symbols) {
        return first < 0 ? 0 : first + n_symbols;
    };
    const int last = std::max({last_row(observation.action, n_tokens),
                               last_row(observation.parent, observation.n_parents),
                               last_row(observation.sibling, n_tokens)});
    if (!fits || static_cast<size_t>(last) >= n_rows)
        throw std::invalid_argument("the observation belongs to another library or network");
}

void bind_rules(py::module_& m) {
    using Mask = Array<bool>;
    py::class_<RuleSet>(m, "RuleSet", "What a prior compiles to; token sets are (L,) bool arrays.")
        .def(py::init([](const std::vector<int>& arities) {
            for (int arity : arities)
                if (arity < 0) throw std::invalid_argument("an arity is negative");
            return RuleSet(arities);
        }))
        .def("forbid_first",
             [](RuleSet& r, const Mask& targets) { r.forbid_first(token_set(r, targets)); })
        .def(
            "forbid_child",
            [](RuleSet& r, const Mask& parents, const Mask& targets, bool first, bool later) {
                r.forbid_child(token_set(r, parents), token_set(r, targets), first, later);
            },
            py::arg("parents"), py::arg("targets"), py::arg("first") = true,
            py::arg("later") = true)
        .def("forbid_sibling",
             [](RuleSet& r, const Mask& siblings, const Mask& targets) {
                 r.forbid_sibling(token_set(r, siblings), token_set(r, targets));
             })
        .def("forbid_only_child",
             [](RuleSet& r, const Mask& parents, const Mask& targets) {
                 r.forbid_only_child(token_set(r, parents), token_set(r, targets));
             })
        .def("forbid_descendant",
             [](RuleSet& r, const Mask& ancestors, const Mask& targets) {
                 return r.forbid_descendant(token_set(r, ancestors), token_set(r, targets));
             })
        .def("limit_nesting",
             [](RuleSet& r, const Mask& outer, const Mask& inner, int limit) {
                 r.limit_nesting(token_set(r, outer), token_set(r, inner), limit);
             })
        .def("require_ancestors",
             [](RuleSet& r, const Mask& targets, const std::vector<int>& groups) {
                 r.require_ancestors(token_set(r, targets), groups);
             })
        .def("require_each",
             [](RuleSet& r, const Mask& group) { r.require_each(token_set(r, group)); })
        .def("exclude_each_other",
             [](RuleSet& r, const Mask& group) { r.exclude_each_other(token_set(r, group)); })
        .def("limit_depth", &RuleSet::limit_depth)
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
        .def("limit_count",
             [](RuleSet& r, const Mask& group, int threshold, const Mask& forbidden) {
                 r.limit_count(token_set(r, group), threshold, token_set(r, forbidden));
             })
        .def("require_count", [](RuleSet& r, const Mask& group,
                                 int minimum) { r.require_count(token_set(r, group), minimum); })
        .def("limit_length",
             [](RuleSet& r, int minimum, std::optional<int> maximum) {
                 r.limit_length(minimum, maximum.value_or(kUnlimited));
             })
        .def("look_ahead_to", &RuleSet::look_ahead_to,
             "Tell a length limit that another rule set enforces.")
        .def(
            "forbid_at_last_chance",
            [](RuleSet& r, const Mask& targets) { r.forbid_at_last_chance(token_set(r, targets)); })
        .def("add_logits",
             [](RuleSet& r, const std::vector<double>& logits) {
                 if (logits.size() != r.n_tokens()) throw std::invalid_argument("logits are (L,)");
                 r.add_logits(logits);
             })
        .def("add_soft_length", &RuleSet::add_soft_length, py::arg("location"), py::arg("scale"))
        .def(
            "add_context_logits",
            [](RuleSet& r, std::vector<int> parents, std::vector<int> siblings,
               const Array<double>& table) {
                if (table.ndim() != 3) throw std::invalid_argument("the table has 3 axes");
                const auto size = [&](int axis) { return static_cast<int>(table.shape(axis)); };
                r.add_context_logits({std::move(parents),
                                      std::move(siblings),
                                      size(0),
                                      size(1),
                                      {table.data(), table.data() + table.size()}});
            },
            py::arg("parent_class"), py::arg("sibling_class"), py::arg("table"),
            "Add table (parents, siblings, L) to the logits, by the class (L + 1,) of the open "
            "node's parent and of the sibling before; the last class is that of none.")
        .def("merge", &RuleSet::merge)
        .def(
            "first_allowed",
            [](const RuleSet& rules) {
                TraversalState state(rules);
                py::array_t<bool> allowed(rules.n_tokens());
                for (size_t token = 0; token < rules.n_tokens(); ++token)
                    allowed.mutable_data()[token] = state.allows(static_cast<int>(token));
                return allowed;
            },
            "Tokens that may come first, (L,) bool.")
        .def(
            "mask_counts",
            [](const RuleSet& rules, const Array<int16_t>& tokens, const Array<int32_t>& lengths) {
                const ProgramView view = checked_view(tokens, lengths, rules.n_tokens());
                py::array_t<int64_t> counts(rules.n_tokens());
                std::fill_n(counts.mutable_data(), rules.n_tokens(), 0);
                count_masked(view, rules, counts.mutable_data());
                return counts;
            },
            "How often each token was masked on the way through the programs, (L,) int64.")
        .def(
            "violations",
            [](const RuleSet& rules, const Array<int16_t>& tokens, const Array<int32_t>& lengths) {
                const ProgramView view = checked_view(tokens, lengths, rules.n_tokens());
                py::array_t<int32_t> first(lengths.size());
                TraversalState state(rules);
                for (size_t b = 0; b < view.n_programs; ++b)
                    first.mutable_data()[b] = first_violation(view.row(b), view.lengths[b], state);
                return first;
            },
            "Position of each program's first forbidden token, -1 if it obeys every rule, its "
            "length if it is incomplete: (B,) int32.");
    py::class_<Observation>(m, "Observation", "Which features of a traversal the network sees.")
        .def(py::init([](int action, int parent, int sibling, bool open_slots,
                         std::vector<int> parent_index, int n_parents) {
                 return Observation{action,   parent, sibling, open_slots, std::move(parent_index),
                                    n_parents};
             }),
             py::arg("action"), py::arg("parent"), py::arg("sibling"), py::arg("open_slots"),
             py::arg("parent_index"), py::arg("n_parents"));
}

// One forward pass with what its backward pass needs; holds the arrays alive.
template <class T>
struct ForwardPass {
    std::shared_ptr<Network<T>> network;
    std::vector<std::pair<size_t, size_t>> shapes;
    Array<int32_t> features, lengths;
    std::optional<Array<T>> open_slots;
    Array<T> prior;
    Array<int16_t> tokens;
    Activations<T> saved;

    Sequences<T> sequences() const {
        return {static_cast<size_t>(tokens.shape(0)),
                static_cast<size_t>(tokens.shape(1)),
                lengths.data(),
                features.data(),
                static_cast<size_t>(features.shape(2)),
                open_slots ? open_slots->data() : nullptr,
                prior.data(),
                tokens.data()};
    }
    py::list backward(const Array<T>& d_log_prob, const Array<T>& d_entropy) const {
        if (d_log_prob.size() != tokens.size() || d_entropy.size() != tokens.size())
            throw std::invalid_argument("gradients are (B, T)");
        py::list out;
        std::vector<T*> pointers;
        for (const auto& [rows, cols] : shapes) {
            py::array_t<T> gradient({rows, cols});
            std::fill_n(gradient.mutable_data(), rows * cols, T(0));
            pointers.push_back(gradient.mutable_data());
            out.append(gradient);
        }
        py::gil_scoped_release release;
        network->backward(sequences(), saved, d_log_prob.data(), d_entropy.data(), pointers);
        return out;
    }
};

template <class T>
struct BoundNetwork {
    std::shared_ptr<Network<T>> network;
    std::vector<std::pair<size_t, size_t>> shapes;

    BoundNetwork(const std::string& cell, const std::vector<Array<T>>& parameters, T floor) {
        if (cell != "lstm" && cell != "gru") throw std::invalid_argument("cell is lstm or gru");
        std::vector<ParameterView<T>> views;
        for (const Array<T>& p : parameters) {
            if (p.ndim() != 2) throw std::invalid_argument("a parameter is two-dimensional");
            shapes.emplace_back(p.shape(0), p.shape(1));
            views.push_back({p.data(), shapes.back().first, shapes.back().second});
        }
        network =
            std::make_shared<Network<T>>(cell == "lstm" ? Cell::kLstm : Cell::kGru, views, floor);
    }

    py::tuple sample(const RuleSet& rules, const Observation& observation, uint64_t key,
                     size_t n_rows, size_t n_positions, size_t n_threads, size_t first_row) const {
        if (rules.n_tokens() != network->n_tokens())
            throw std::invalid_argument("rules and network have different libraries");
        check_observation(observation, rules, network->n_features_table());
        py::array_t<int16_t> tokens({n_rows, n_positions});
        py::array_t<int32_t> lengths(n_rows);
        std::fill_n(tokens.mutable_data(), tokens.size(), kPad);
        int16_t* token_data = tokens.mutable_data();
        int32_t* length_data = lengths.mutable_data();
        n_threads = std::max<size_t>(1, std::min(n_threads, n_rows / 16));
        std::vector<int64_t> withdrawn(n_threads);
        {
            py::gil_scoped_release release;
            const auto draw = [&](size_t worker, size_t begin, size_t end) {
                withdrawn[worker] +=
                    dso::sample(*network, rules, observation, key, first_row + begin, end - begin,
                                n_positions, token_data + begin * n_positions, length_data + begin);
            };
            const size_t share = std::max<size_t>(1, (n_rows + n_threads - 1) / n_threads);
            parallel_for(n_rows, n_threads, share, draw);
        }
        int64_t total = 0;
        for (int64_t count : withdrawn) total += count;
        return py::make_tuple(tokens, lengths, total);
    }

    py::tuple forward(const Array<int32_t>& features, std::optional<Array<T>> open_slots,
                      const Array<T>& prior, const Array<int16_t>& tokens,
                      const Array<int32_t>& lengths) const {
        const ProgramView view = checked_view(tokens, lengths, network->n_tokens());
        const auto n_rows = tokens.shape(0), n_positions = tokens.shape(1);
        const bool fits = features.ndim() == 3 && features.shape(0) == n_rows &&
                          features.shape(1) == n_positions && prior.ndim() == 3 &&
                          prior.shape(0) == n_rows && prior.shape(1) == n_positions &&
                          static_cast<size_t>(prior.shape(2)) == network->n_tokens() &&
                          (!open_slots || open_slots->size() == tokens.size());
        if (!fits) throw std::invalid_argument("forward: arrays of different B, T or L");
        for (size_t b = 0; b < view.n_programs; ++b)
            for (py::ssize_t i = 0; i < view.lengths[b] * features.shape(2); ++i) {
                const int32_t f = features.data()[b * n_positions * features.shape(2) + i];
                if (f < 0 || static_cast<size_t>(f) >= network->n_features_table())
                    throw std::invalid_argument("forward: a feature lies outside the input table");
            }
        auto pass = std::make_unique<ForwardPass<T>>(
            ForwardPass<T>{network, shapes, features, lengths, open_slots, prior, tokens, {}});
        py::array_t<T> log_prob({n_rows, n_positions}), entropy({n_rows, n_positions});
        T *log_prob_data = log_prob.mutable_data(), *entropy_data = entropy.mutable_data();
        std::fill_n(log_prob_data, log_prob.size(), T(0));
        std::fill_n(entropy_data, entropy.size(), T(0));
        {
            const Sequences<T> sequences = pass->sequences();
            py::gil_scoped_release release;
            network->forward(sequences, log_prob_data, entropy_data, pass->saved);
        }
        return py::make_tuple(log_prob, entropy, std::move(pass));
    }
};

// The network's memory of some rows while somebody else chooses their tokens.
template <class T>
struct BoundState {
    std::shared_ptr<Network<T>> network;
    typename Network<T>::State state;
    size_t n_rows;

    py::array_t<T> step(const Array<int32_t>& features, std::optional<Array<T>> open_slots) {
        if (features.ndim() != 2 || static_cast<size_t>(features.shape(0)) != n_rows ||
            (open_slots && static_cast<size_t>(open_slots->size()) != n_rows))
            throw std::invalid_argument("step: features are (B, O), open slots (B,)");
        for (py::ssize_t i = 0; i < features.size(); ++i)
            if (features.data()[i] < 0 ||
                static_cast<size_t>(features.data()[i]) >= network->n_features_table())
                throw std::invalid_argument("step: a feature lies outside the input table");
        network->step(state, n_rows, features.data(), static_cast<size_t>(features.shape(1)),
                      open_slots ? open_slots->data() : nullptr);
        py::array_t<T> logits({n_rows, network->n_tokens()});
        for (size_t r = 0; r < n_rows; ++r)
            std::copy_n(state.logits.row(r), network->n_tokens(), logits.mutable_data(r));
        return logits;
    }
};

template <class T>
void bind_stepper(py::module_& m, const std::string& suffix) {
    using Self = Stepper<T>;
    py::class_<Self>(m, ("Stepper" + suffix).c_str(),
                     "Sampling one token per call: `observe`, compute logits, `choose`, while "
                     "`n_active` > 0.")
        .def(py::init<const RuleSet&, uint64_t, const std::vector<uint32_t>&, uint32_t, size_t>(),
             py::arg("rules"), py::arg("key"), py::arg("rows"), py::arg("attempt"),
             py::arg("n_positions"))
        .def_property_readonly("n_active", &Self::n_active)
        .def_property_readonly("tokens",
                               [](const Self& s) {
                                   return py::array_t<int16_t>({s.n_rows(), s.n_positions()},
                                                               s.tokens.data());
                               })
        .def_property_readonly(
            "lengths",
            [](const Self& s) { return py::array_t<int32_t>(s.n_rows(), s.lengths.data()); })
        .def(
            "observe",
            [](const Self& s, const Observation& observation) {
                py::array_t<int32_t> features({s.n_rows(), observation.n_features()});
                py::array_t<T> open_slots(s.n_rows());
                check_observation(observation, s.rules(), kAnyTable);
                s.observe(observation, features.mutable_data(), open_slots.mutable_data());
                return py::make_tuple(features, open_slots);
            },
            "-> features (B, O), open slots (B,)")
        .def(
            "choose",
            [](Self& s, const Array<T>& logits) {
                if (logits.ndim() != 2 || static_cast<size_t>(logits.shape(0)) != s.n_rows() ||
                    static_cast<size_t>(logits.shape(1)) != s.n_tokens())
                    throw std::invalid_argument("choose: logits are (B, L)");
                s.choose(logits.data());
            },
            "Draw a token for each active row from logits (B, L); the rules are added here.");
}

template <class T>
py::tuple replay_programs(const RuleSet& rules, const Observation& observation,
                          const Array<int16_t>& tokens, const Array<int32_t>& lengths) {
    const ProgramView view = checked_view(tokens, lengths, rules.n_tokens());
    check_observation(observation, rules, kAnyTable);
    const size_t n_rows = view.n_programs, n_positions = view.n_positions;
    py::array_t<int32_t> features({n_rows, n_positions, observation.n_features()});
    py::array_t<T> open_slots({n_rows, n_positions}),
        prior({n_rows, n_positions, rules.n_tokens()});
    py::array_t<bool> allowed(n_rows);
    std::fill_n(features.mutable_data(), features.size(), 0);
    std::fill_n(open_slots.mutable_data(), open_slots.size(), T(0));
    std::fill_n(prior.mutable_data(), prior.size(), T(0));
    replay(view, rules, observation, features.mutable_data(), open_slots.mutable_data(),
           prior.mutable_data(), allowed.mutable_data());
    return py::make_tuple(features, open_slots, prior, allowed);
}

template <class T>
void bind_network(py::module_& m, const std::string& suffix) {
    py::class_<ForwardPass<T>>(m, ("ForwardPass" + suffix).c_str())
        .def("backward", &ForwardPass<T>::backward, py::arg("d_log_prob"), py::arg("d_entropy"),
             "Gradient of every parameter, in the network's order.");
    py::class_<BoundNetwork<T>>(
        m, ("Network" + suffix).c_str(),
        "Policy network over parameters in the order input table, "
        "recurrent, bias (input, recurrent, bias of further layers), dense "
        "kernel, dense bias; a copy of the weights at construction. `floor` "
        "mixes that share of the uniform distribution into the output.")
        .def(py::init<const std::string&, const std::vector<Array<T>>&, T>(), py::arg("cell"),
             py::arg("parameters"), py::arg("floor") = 0)
        .def("sample", &BoundNetwork<T>::sample, py::arg("rules"), py::arg("observation"),
             py::arg("key"), py::arg("n_rows"), py::arg("n_positions"), py::arg("n_threads") = 1,
             py::arg("first_row") = 0, "-> tokens (n, T) int16, lengths (n,), withdrawals")
        .def("forward", &BoundNetwork<T>::forward, py::arg("features"), py::arg("open_slots"),
             py::arg("prior"), py::arg("tokens"), py::arg("lengths"),
             "-> log-probabilities (B, T), entropies (B, T), ForwardPass")
        .def(
            "start",
            [](const BoundNetwork<T>& self, size_t n_rows) {
                return BoundState<T>{self.network, self.network->make_state(n_rows), n_rows};
            },
            py::arg("n_rows"), "Hidden states of new rows, for steps one at a time.");
    py::class_<BoundState<T>>(m, ("NetworkState" + suffix).c_str())
        .def("step", &BoundState<T>::step, py::arg("features"), py::arg("open_slots"),
             "-> logits (B, L)");
    m.def(("replay" + suffix).c_str(), &replay_programs<T>, py::arg("rules"),
          py::arg("observation"), py::arg("tokens"), py::arg("lengths"),
          "-> features (B, T, O), open slots (B, T), prior logits (B, T, L), allowed (B,)");
}

}  // namespace

void bind_sampling(py::module_& m) {
    m.attr("MAX_ATTEMPTS") = kMaxAttempts;  // draws of one row before it is given up
    bind_rules(m);
    bind_network<float>(m, "32");
    bind_network<double>(m, "64");
    bind_stepper<float>(m, "32");
    bind_stepper<double>(m, "64");
}

}  // namespace dso
