// Policies of environments, and their episodes, as Python sees them.
#include <optional>

#include "bindings/arrays.hpp"
#include "control/controller.hpp"
#include "control/mujoco_rollout.hpp"
#include "control/rollout.hpp"

namespace dso {

template <class T>
static std::vector<T> to_vector(const Array<T>& values) {
    return {values.data(), values.data() + values.size()};
}

using Matrices = std::vector<Array<float>>;

static std::shared_ptr<Network> make_network(const Matrices& weights, const Matrices& biases,
                                             const std::string& activation,
                                             const std::string& head, const Array<double>& low,
                                             const Array<double>& high, double z_limit,
                                             const Array<double>& mean,
                                             const Array<double>& deviation, double limit) {
    auto network = std::make_shared<Network>();
    if (weights.empty() || weights.size() != biases.size())
        throw std::invalid_argument("Network: as many biases as weights");
    for (size_t l = 0; l < weights.size(); ++l) {
        const auto& w = weights[l];
        if (w.ndim() != 2 || biases[l].size() != w.shape(0) ||
            (l > 0 && weights[l - 1].shape(0) != w.shape(1)))
            throw std::invalid_argument("Network: the shapes of the layers do not fit");
        network->layers.push_back({static_cast<size_t>(w.shape(1)), static_cast<size_t>(w.shape(0)),
                                   to_vector(w), to_vector(biases[l])});
    }
    if (activation != "tanh" && activation != "relu")
        throw std::invalid_argument("Network: activation is tanh or relu");
    network->activation =
        activation == "tanh" ? Network::Activation::tanh : Network::Activation::relu;
    if (head != "linear" && head != "squashed" && head != "choice")
        throw std::invalid_argument("Network: head is linear, squashed or choice");
    network->head = head == "linear"     ? Network::Head::linear
                    : head == "squashed" ? Network::Head::squashed
                                         : Network::Head::choice;
    network->low = to_vector(low), network->high = to_vector(high);
    network->z_limit = z_limit;
    network->mean = to_vector(mean), network->deviation = to_vector(deviation);
    network->limit = limit;
    const size_t n_in = network->n_inputs(), n_out = network->n_outputs();
    if (network->head == Network::Head::squashed &&
        (network->low.size() != n_out || network->high.size() != n_out))
        throw std::invalid_argument("Network: one bound per action");
    if (network->mean.size() != network->deviation.size() ||
        (!network->mean.empty() && network->mean.size() != n_in))
        throw std::invalid_argument("Network: one mean and deviation per observation");
    return network;
}

static Array<double> run_network(const Network& network, const Array<double>& observations) {
    if (observations.ndim() != 2 ||
        static_cast<size_t>(observations.shape(1)) != network.n_inputs())
        throw std::invalid_argument("Network: observations are (N, " +
                                    std::to_string(network.n_inputs()) + ")");
    const auto n = static_cast<size_t>(observations.shape(0));
    Array<double> actions({n, network.n_outputs()});
    std::vector<float> memory;
    for (size_t i = 0; i < n; ++i)
        network.run(observations.data() + i * network.n_inputs(),
                    actions.mutable_data() + i * network.n_outputs(), memory);
    return actions;
}

static Composition make_composition(const std::string& kind, const Array<int32_t>& sources,
                                    const Array<double>& low, const Array<double>& high,
                                    bool is_single, std::shared_ptr<Network> anchor,
                                    const Library* fixed_library, const Array<int16_t>& tokens,
                                    const Array<int32_t>& lengths, const Array<double>& constants,
                                    size_t n_observations) {
    Composition made;
    made.kind = kind == "box"        ? Composition::Kind::box
                : kind == "discrete" ? Composition::Kind::discrete
                                     : Composition::Kind::multi_discrete;
    made.sources = to_vector(sources);
    made.low = to_vector(low), made.high = to_vector(high);
    made.is_single = is_single;
    made.anchor = anchor;
    const ProgramView programs = view_programs(tokens, lengths, constants);
    if (programs.n_programs > 0) {
        if (!fixed_library)
            throw std::invalid_argument("Composition: fixed programs need a library");
        check_programs(*fixed_library, programs, n_observations);
        made.fixed.resize(programs.n_programs);
        for (size_t i = 0; i < programs.n_programs; ++i)
            made.fixed[i].compile(*fixed_library, programs.row(i), programs.lengths[i],
                                  programs.slots(i), programs.n_constants);
    }
    for (const int32_t source : made.sources)
        if (source < Composition::kAnchor || source >= static_cast<int32_t>(made.fixed.size()) ||
            (source == Composition::kAnchor &&
             (!anchor || anchor->n_outputs() != made.sources.size())))
            throw std::invalid_argument("Composition: a source that is not there");
    if (made.kind == Composition::Kind::box &&
        (made.low.size() != made.n_actions() || made.high.size() != made.n_actions()))
        throw std::invalid_argument("Composition: one bound per action");
    return made;
}

static void set_action_tokens(Composition& composition, const Array<int32_t>& dimensions,
                              const Array<double>& values, const Array<double>& defaults) {
    if (static_cast<size_t>(defaults.size()) != composition.n_actions() ||
        dimensions.size() != values.size())
        throw std::invalid_argument("Composition: one default per action");
    for (py::ssize_t i = 0; i < dimensions.size(); ++i)
        if (dimensions.data()[i] >= defaults.size())
            throw std::invalid_argument("Composition: a token sets an action that is not there");
    composition.actions = {to_vector(dimensions), to_vector(values), to_vector(defaults)};
}

// The actions (N, A) of one program for observations (N, O).
static Array<double> act(const Composition& composition, const Library& library,
                         const Array<int16_t>& tokens, const Array<int32_t>& lengths,
                         const Array<double>& constants, const Array<double>& observations) {
    const ProgramView programs = view_programs(tokens, lengths, constants);
    if (observations.ndim() != 2 || programs.n_programs != 1)
        throw std::invalid_argument("act: one program, observations (N, O)");
    const auto n = static_cast<size_t>(observations.shape(0));
    const auto width = static_cast<size_t>(observations.shape(1));
    check_policies(library, composition, programs, width);
    Controller controller(composition);
    controller.learn(library, programs, 0);
    Array<double> actions({n, composition.n_actions()});
    for (size_t i = 0; i < n; ++i)
        controller.act(observations.data() + i * width,
                       actions.mutable_data() + i * composition.n_actions());
    return actions;
}

// One program ready to act, for loops in Python.
class Actor {
public:
    Actor(const Composition& composition, const Library& library, const Array<int16_t>& tokens,
          const Array<int32_t>& lengths, const Array<double>& constants, size_t n_observations)
        : n_actions_(composition.n_actions()),
          n_observations_(n_observations),
          controller_(composition) {
        const ProgramView programs = view_programs(tokens, lengths, constants);
        if (programs.n_programs != 1) throw std::invalid_argument("Actor: one program");
        check_policies(library, composition, programs, n_observations);
        controller_.learn(library, programs, 0);
    }
    Array<double> act(const Array<double>& observation) {
        if (static_cast<size_t>(observation.size()) != n_observations_)
            throw std::invalid_argument("Actor: the observation has a wrong size");
        Array<double> action(n_actions_);
        controller_.act(observation.data(), action.mutable_data());
        return action;
    }

private:
    size_t n_actions_, n_observations_;
    Controller controller_;
};

static Rollout make_job(const Library& library, const Composition& composition,
                        const Array<int16_t>& tokens, const Array<int32_t>& lengths,
                        const Array<double>& constants, const Array<double>& parameters,
                        const Array<double>& states, const Array<double>& observations,
                        int32_t max_steps) {
    if (states.ndim() != 2 || observations.ndim() != 2 || states.shape(0) != observations.shape(0))
        throw std::invalid_argument("rollout: states (E, S) and observations (E, O)");
    return {library,
            view_programs(tokens, lengths, constants),
            composition,
            {states.data(), observations.data(), static_cast<size_t>(states.shape(0)),
             static_cast<size_t>(states.shape(1)), static_cast<size_t>(observations.shape(1))},
            parameters.data(),
            static_cast<size_t>(parameters.size()),
            max_steps};
}

// Calls play(returns, steps) without the GIL.
template <class Play>
static py::tuple play_all(const Rollout& job, Play play) {
    py::array_t<double> returns({job.programs.n_programs, job.starts.n_episodes});
    py::array_t<int32_t> steps({job.programs.n_programs, job.starts.n_episodes});
    double* out = returns.mutable_data();
    int32_t* counts = steps.mutable_data();
    {
        const py::gil_scoped_release release;
        play(out, counts);
    }
    return py::make_tuple(returns, steps);
}

static py::tuple trace_arrays(const Rollout& job, const Trace& made) {
    const auto matrix = [](const std::vector<double>& values, size_t width) {
        return py::array_t<double>({values.size() / width, width}, values.data());
    };
    return py::make_tuple(matrix(made.observations, job.starts.n_observations),
                          matrix(made.actions, job.composition.n_actions()),
                          py::array_t<double>(made.rewards.size(), made.rewards.data()));
}

static Mujoco make_mujoco(const std::vector<uintptr_t>& functions,
                          const std::vector<std::vector<uintptr_t>>& simulations, size_t n_qpos,
                          size_t n_qvel, size_t n_ctrl, int32_t frame_skip) {
    if (functions.size() != 4) throw std::invalid_argument("Mujoco: four functions");
    const auto call = [&](size_t i) {
        return reinterpret_cast<MujocoFunctions::Call>(functions[i]);
    };
    Mujoco made{{call(0), call(1), call(2), call(3)}, {}, n_qpos, n_qvel, n_ctrl, frame_skip};
    for (const auto& addresses : simulations) {
        if (addresses.size() != 7) throw std::invalid_argument("Mujoco: seven addresses each");
        const auto field = [&](size_t i) { return reinterpret_cast<double*>(addresses[i]); };
        made.simulations.push_back({reinterpret_cast<void*>(addresses[0]),
                                    reinterpret_cast<void*>(addresses[1]), field(2), field(3),
                                    field(4), field(5), field(6)});
    }
    return made;
}

// Both kinds of rollout take the same arguments but for the one that says where physics is from.
template <class Where, class Play, class Look>
static void bind_rollouts(py::module_& m, const char* rollout, const char* trace, Play play,
                          Look look) {
    using Name = const std::string&;
    using Tokens = const Array<int16_t>&;
    using Lengths = const Array<int32_t>&;
    using Doubles = const Array<double>&;
    m.def(
        rollout,
        [play](Name system, const Library& library, const Composition& composition, Tokens tokens,
               Lengths lengths, Doubles constants, Doubles parameters, Doubles states,
               Doubles observations, int32_t max_steps, const Where& where) {
            const Rollout job = make_job(library, composition, tokens, lengths, constants,
                                         parameters, states, observations, max_steps);
            return play_all(job, [&](double* returns, int32_t* steps) {
                play(system, where, job, returns, steps);
            });
        },
        "system, library, composition, tokens, lengths, constants, parameters, states (E, S), "
        "observations (E, O), max_steps, threads or simulations -> returns, steps, (P, E) each.");
    m.def(
        trace,
        [look](Name system, const Library& library, const Composition& composition, Tokens tokens,
               Lengths lengths, Doubles constants, Doubles parameters, Doubles states,
               Doubles observations, int32_t max_steps, const Where& where) {
            const Rollout job = make_job(library, composition, tokens, lengths, constants,
                                         parameters, states, observations, max_steps);
            return trace_arrays(job, look(system, where, job));
        },
        "The first program's first episode -> observations (n + 1, O), actions (n, A), rewards "
        "(n,).");
}

void bind_control(py::module_& m) {
    py::class_<Network, std::shared_ptr<Network>>(m, "Network", "A trained policy as layers.")
        .def(py::init(&make_network), py::arg("weights"), py::arg("biases"), py::arg("activation"),
             py::arg("head"), py::arg("low"), py::arg("high"), py::arg("z_limit"), py::arg("mean"),
             py::arg("deviation"), py::arg("limit"))
        .def("run", &run_network, py::arg("observations"), "(N, O) -> (N, A).");
    py::class_<Composition>(m, "Composition", "How each component of an action comes about.")
        .def(py::init(&make_composition), py::arg("kind"), py::arg("sources"), py::arg("low"),
             py::arg("high"), py::arg("is_single"), py::arg("anchor"), py::arg("fixed_library"),
             py::arg("tokens"), py::arg("lengths"), py::arg("constants"), py::arg("n_observations"))
        .def("set_action_tokens", &set_action_tokens, py::arg("dimensions"), py::arg("values"),
             py::arg("defaults"));
    m.attr("LEARNED") = static_cast<int>(Composition::kLearned);
    m.attr("ANCHOR") = static_cast<int>(Composition::kAnchor);
    m.attr("NO_ACTION") = static_cast<int>(ActionTokens::kNone);
    m.attr("STOP_ACTION") = static_cast<int>(ActionTokens::kStop);
    m.def("act", &act, py::arg("composition"), py::arg("library"), py::arg("tokens"),
          py::arg("lengths"), py::arg("constants"), py::arg("observations"),
          "Actions (N, A) of one program for observations (N, O).");
    py::class_<Actor>(m, "Actor", "One program, ready to act.")
        .def(py::init<const Composition&, const Library&, const Array<int16_t>&,
                      const Array<int32_t>&, const Array<double>&, size_t>(),
             py::arg("composition"), py::arg("library"), py::arg("tokens"), py::arg("lengths"),
             py::arg("constants"), py::arg("n_observations"), py::keep_alive<1, 2>())
        .def("act", &Actor::act, py::arg("observation"), "(O,) -> (A,).");
    py::class_<Mujoco>(m, "Mujoco", "The physics library and a simulation per thread.")
        .def(py::init(&make_mujoco), py::arg("functions"), py::arg("simulations"),
             py::arg("n_qpos"), py::arg("n_qvel"), py::arg("n_ctrl"), py::arg("frame_skip"));
    bind_rollouts<int>(
        m, "rollout", "trace",
        [](const std::string& system, int n_threads, const Rollout& job, double* returns,
           int32_t* steps) { roll_out(system, job, std::max(1, n_threads), returns, steps); },
        [](const std::string& system, int, const Rollout& job) { return trace(system, job); });
    bind_rollouts<Mujoco>(m, "rollout_mujoco", "trace_mujoco", &roll_out_mujoco, &trace_mujoco);
}

}  // namespace dso
