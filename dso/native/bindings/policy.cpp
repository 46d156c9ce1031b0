// Observations, the network in both precisions, sampling, replay and gradients.
#include <limits>
#include <memory>

#include "bindings/arrays.hpp"
#include "policy/network.hpp"
#include "policy/sampler.hpp"
#include "policy/stepper.hpp"
#include "rules/walk.hpp"

namespace dso::bindings {

using namespace policy;

namespace {

constexpr size_t kAnyTable = std::numeric_limits<int32_t>::max();

// Whether every symbol that may be observed is a row of a table of `n_rows`.
void check_observation(const Observation& observation, const rules::RuleSet& rules, size_t n_rows) {
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

// One forward pass with what its backward pass needs; holds the arrays alive.
template <class T>
struct ForwardPass {
    std::shared_ptr<Network<T>> network;
    std::vector<std::pair<size_t, size_t>> shapes;
    Programs programs;
    Array<int32_t> features;
    std::optional<Array<T>> open_slots;
    Array<T> prior;
    Activations<T> saved;

    Sequences<T> sequences() const {
        const machine::ProgramView& view = programs.view();
        return {view.n_programs,
                view.n_positions,
                view.lengths,
                features.data(),
                static_cast<size_t>(features.shape(2)),
                open_slots ? open_slots->data() : nullptr,
                prior.data(),
                view.tokens};
    }
    std::vector<NewArray<T>> backward(const Array<T>& d_log_prob, const Array<T>& d_entropy) const {
        const machine::ProgramView& view = programs.view();
        const auto size = static_cast<py::ssize_t>(view.n_programs * view.n_positions);
        if (d_log_prob.size() != size || d_entropy.size() != size)
            throw std::invalid_argument("gradients are (B, T)");
        std::vector<NewArray<T>> gradients;
        std::vector<T*> pointers;
        for (const auto& [n_rows, n_columns] : shapes) {
            gradients.push_back(filled({n_rows, n_columns}, T(0)));
            pointers.push_back(gradients.back().mutable_data());
        }
        {
            const py::gil_scoped_release release;
            network->backward(sequences(), saved, d_log_prob.data(), d_entropy.data(), pointers);
        }
        return gradients;
    }
};

template <class T>
void check_features(const Network<T>& network, const int32_t* features, size_t n) {
    for (size_t i = 0; i < n; ++i)
        if (features[i] < 0 || static_cast<size_t>(features[i]) >= network.n_features_table())
            throw std::invalid_argument("a feature lies outside the input table");
}

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

    std::tuple<NewArray<int16_t>, NewArray<int32_t>, int64_t> sample(
        const rules::RuleSet& rules, const Observation& observation, uint64_t key, size_t n_rows,
        size_t n_positions, size_t n_threads, size_t first_row) const {
        if (rules.n_tokens() != network->n_tokens())
            throw std::invalid_argument("rules and network have different libraries");
        check_observation(observation, rules, network->n_features_table());
        NewArray<int16_t> tokens = filled({n_rows, n_positions}, machine::kPad);
        NewArray<int32_t> lengths(n_rows);
        int16_t* to = tokens.mutable_data();
        int32_t* to_lengths = lengths.mutable_data();
        int64_t n_withdrawn;
        {
            const py::gil_scoped_release release;
            n_withdrawn = policy::sample(*network, rules, observation, key, first_row, n_rows,
                                         n_positions, n_threads, to, to_lengths);
        }
        return {tokens, lengths, n_withdrawn};
    }

    std::tuple<NewArray<T>, NewArray<T>, std::unique_ptr<ForwardPass<T>>> forward(
        const Programs& programs, const Array<int32_t>& features,
        const std::optional<Array<T>>& open_slots, const Array<T>& prior) const {
        check_sequences(programs.view(), features, open_slots, prior);
        auto pass = std::make_unique<ForwardPass<T>>(
            ForwardPass<T>{network, shapes, programs, features, open_slots, prior, {}});
        const std::vector<size_t> shape{programs.view().n_programs, programs.view().n_positions};
        NewArray<T> log_prob = filled(shape, T(0)), entropy = filled(shape, T(0));
        T *to_log_prob = log_prob.mutable_data(), *to_entropy = entropy.mutable_data();
        {
            const Sequences<T> sequences = pass->sequences();
            const py::gil_scoped_release release;
            network->forward(sequences, to_log_prob, to_entropy, pass->saved);
        }
        return {log_prob, entropy, std::move(pass)};
    }

private:
    void check_sequences(const machine::ProgramView& view, const Array<int32_t>& features,
                         const std::optional<Array<T>>& open_slots, const Array<T>& prior) const {
        rules::check_tokens(view, network->n_tokens());
        const auto is_of_batch = [&](const py::array& array) {
            return array.ndim() == 3 && static_cast<size_t>(array.shape(0)) == view.n_programs &&
                   static_cast<size_t>(array.shape(1)) == view.n_positions;
        };
        const size_t size = view.n_programs * view.n_positions;
        if (!is_of_batch(features) || !is_of_batch(prior) ||
            static_cast<size_t>(prior.shape(2)) != network->n_tokens() ||
            (open_slots && static_cast<size_t>(open_slots->size()) != size))
            throw std::invalid_argument("forward: arrays of different B, T or L");
        const auto n_features = static_cast<size_t>(features.shape(2));
        for (size_t b = 0; b < view.n_programs; ++b) {
            const int32_t* first = features.data() + b * view.n_positions * n_features;
            check_features(*network, first, static_cast<size_t>(view.lengths[b]) * n_features);
        }
    }
};

// The network's memory of some rows while somebody else chooses their tokens.
template <class T>
struct BoundState {
    std::shared_ptr<Network<T>> network;
    typename Network<T>::State state;
    size_t n_rows;

    NewArray<T> step(const Array<int32_t>& features, const std::optional<Array<T>>& open_slots) {
        if (features.ndim() != 2 || static_cast<size_t>(features.shape(0)) != n_rows ||
            (open_slots && static_cast<size_t>(open_slots->size()) != n_rows))
            throw std::invalid_argument("step: features are (B, O), open slots (B,)");
        check_features(*network, features.data(), static_cast<size_t>(features.size()));
        network->step(state, n_rows, features.data(), static_cast<size_t>(features.shape(1)),
                      open_slots ? open_slots->data() : nullptr);
        NewArray<T> logits({n_rows, network->n_tokens()});
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
        .def(py::init<const rules::RuleSet&, uint64_t, const std::vector<uint32_t>&, uint32_t,
                      size_t>(),
             py::arg("rules"), py::arg("key"), py::arg("rows"), py::arg("attempt"),
             py::arg("n_positions"))
        .def_property_readonly("n_active", &Self::n_active)
        .def_property_readonly("tokens",
                               [](const Self& s) {
                                   return NewArray<int16_t>({s.n_rows(), s.n_positions()},
                                                            s.tokens.data());
                               })
        .def_property_readonly(
            "lengths",
            [](const Self& s) { return NewArray<int32_t>(s.n_rows(), s.lengths.data()); })
        .def(
            "observe",
            [](const Self& s, const Observation& observation) {
                check_observation(observation, s.rules(), kAnyTable);
                NewArray<int32_t> features({s.n_rows(), observation.n_features()});
                NewArray<T> open_slots(s.n_rows());
                s.observe(observation, features.mutable_data(), open_slots.mutable_data());
                return std::make_tuple(features, open_slots);
            },
            py::arg("observation"), "-> features (B, O), open slots (B,)")
        .def(
            "choose",
            [](Self& s, const Array<T>& logits) {
                if (logits.ndim() != 2 || static_cast<size_t>(logits.shape(0)) != s.n_rows() ||
                    static_cast<size_t>(logits.shape(1)) != s.n_tokens())
                    throw std::invalid_argument("choose: logits are (B, L)");
                s.choose(logits.data());
            },
            py::arg("logits"),
            "Draw a token for each active row from logits (B, L); the rules are added here.");
}

template <class T>
std::tuple<NewArray<int32_t>, NewArray<T>, NewArray<T>, NewArray<bool>> replay_programs(
    const rules::RuleSet& rules, const Observation& observation, const Programs& programs) {
    const machine::ProgramView& view = programs.view();
    rules::check_tokens(view, rules.n_tokens());
    check_observation(observation, rules, kAnyTable);
    const size_t B = view.n_programs, n_positions = view.n_positions;
    NewArray<int32_t> features = filled({B, n_positions, observation.n_features()}, 0);
    NewArray<T> open_slots = filled({B, n_positions}, T(0));
    NewArray<T> prior = filled({B, n_positions, rules.n_tokens()}, T(0));
    NewArray<bool> allowed(B);
    replay(view, rules, observation, features.mutable_data(), open_slots.mutable_data(),
           prior.mutable_data(), allowed.mutable_data());
    return {features, open_slots, prior, allowed};
}

template <class T>
void bind_network(py::module_& m, const std::string& suffix) {
    py::class_<ForwardPass<T>>(m, ("ForwardPass" + suffix).c_str())
        .def("backward", &ForwardPass<T>::backward, py::arg("d_log_prob"), py::arg("d_entropy"),
             "Gradient of every parameter, in the network's order.");
    py::class_<BoundState<T>>(m, ("NetworkState" + suffix).c_str())
        .def("step", &BoundState<T>::step, py::arg("features"), py::arg("open_slots"),
             "-> logits (B, L)");
    py::class_<BoundNetwork<T>>(
        m, ("Network" + suffix).c_str(),
        "Policy network over parameters in the order input table, "
        "recurrent, bias (input, recurrent, bias of further layers), dense "
        "kernel, dense bias; a copy of the weights at construction. `floor` "
        "mixes that share of the uniform distribution into the output.")
        .def(py::init<const std::string&, const std::vector<Array<T>>&, T>(), py::arg("cell"),
             py::arg("parameters"), py::arg("floor") = T(0))
        .def("sample", &BoundNetwork<T>::sample, py::arg("rules"), py::arg("observation"),
             py::arg("key"), py::arg("n_rows"), py::arg("n_positions"), py::arg("n_threads") = 1,
             py::arg("first_row") = 0, "-> tokens (n, T) int16, lengths (n,), withdrawals")
        .def("forward", &BoundNetwork<T>::forward, py::arg("programs"), py::arg("features"),
             py::arg("open_slots"), py::arg("prior"),
             "-> log-probabilities (B, T), entropies (B, T), ForwardPass")
        .def(
            "start",
            [](const BoundNetwork<T>& self, size_t n_rows) {
                return BoundState<T>{self.network, self.network->make_state(n_rows), n_rows};
            },
            py::arg("n_rows"), "Hidden states of new rows, for steps one at a time.");
    m.def(("replay" + suffix).c_str(), &replay_programs<T>, py::arg("rules"),
          py::arg("observation"), py::arg("programs"),
          "-> features (B, T, O), open slots (B, T), prior logits (B, T, L), allowed (B,)");
}

}  // namespace

void bind_policy(py::module_& m) {
    m.attr("MAX_ATTEMPTS") = kMaxAttempts;  // draws of one row before it is given up
    py::class_<Observation>(m, "Observation", "Which features of a traversal the network sees.")
        .def(py::init([](int action, int parent, int sibling, bool open_slots,
                         std::vector<int> parent_index, int n_parents) {
                 return Observation{action,   parent, sibling, open_slots, std::move(parent_index),
                                    n_parents};
             }),
             py::arg("action"), py::arg("parent"), py::arg("sibling"), py::arg("open_slots"),
             py::arg("parent_index"), py::arg("n_parents"));
    bind_network<float>(m, "32");
    bind_network<double>(m, "64");
    bind_stepper<float>(m, "32");
    bind_stepper<double>(m, "64");
}

}  // namespace dso::bindings
