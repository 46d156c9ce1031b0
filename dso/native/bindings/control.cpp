// Policies of environments, and their episodes.
#include <memory>

#include "bindings/arrays.hpp"
#include "control/controller.hpp"
#include "control/mujoco_rollout.hpp"
#include "control/rollout.hpp"

namespace dso::bindings {

using namespace control;

namespace {

using Matrices = std::vector<Array<float>>;

std::shared_ptr<Perceptron> make_perceptron(const Matrices& weights, const Matrices& biases,
                                            const std::string& activation, const std::string& head,
                                            const Array<double>& low, const Array<double>& high,
                                            double z_limit, const Array<double>& mean,
                                            const Array<double>& deviation, double limit) {
    auto perceptron = std::make_shared<Perceptron>();
    if (weights.empty() || weights.size() != biases.size())
        throw std::invalid_argument("Perceptron: as many biases as weights");
    for (size_t l = 0; l < weights.size(); ++l) {
        const auto& w = weights[l];
        if (w.ndim() != 2 || biases[l].size() != w.shape(0) ||
            (l > 0 && weights[l - 1].shape(0) != w.shape(1)))
            throw std::invalid_argument("Perceptron: the shapes of the layers do not fit");
        perceptron->layers.push_back({static_cast<size_t>(w.shape(1)),
                                      static_cast<size_t>(w.shape(0)), to_vector(w),
                                      to_vector(biases[l])});
    }
    if (activation != "tanh" && activation != "relu")
        throw std::invalid_argument("Perceptron: activation is tanh or relu");
    perceptron->activation =
        activation == "tanh" ? Perceptron::Activation::tanh : Perceptron::Activation::relu;
    if (head != "linear" && head != "squashed" && head != "choice")
        throw std::invalid_argument("Perceptron: head is linear, squashed or choice");
    perceptron->head = head == "linear"     ? Perceptron::Head::linear
                       : head == "squashed" ? Perceptron::Head::squashed
                                            : Perceptron::Head::choice;
    perceptron->z_limit = z_limit;
    perceptron->low = to_vector(low), perceptron->high = to_vector(high);
    perceptron->mean = to_vector(mean), perceptron->deviation = to_vector(deviation);
    perceptron->limit = limit;
    const size_t n_in = perceptron->n_inputs(), n_out = perceptron->n_outputs();
    if (perceptron->head == Perceptron::Head::squashed &&
        (perceptron->low.size() != n_out || perceptron->high.size() != n_out))
        throw std::invalid_argument("Perceptron: one bound per action");
    if (perceptron->mean.size() != perceptron->deviation.size() ||
        (!perceptron->mean.empty() && perceptron->mean.size() != n_in))
        throw std::invalid_argument("Perceptron: one mean and deviation per observation");
    return perceptron;
}

Array<double> run_perceptron(const Perceptron& perceptron, const Array<double>& observations) {
    if (observations.ndim() != 2 ||
        static_cast<size_t>(observations.shape(1)) != perceptron.n_inputs())
        throw std::invalid_argument("Perceptron: observations are (N, " +
                                    std::to_string(perceptron.n_inputs()) + ")");
    const auto n = static_cast<size_t>(observations.shape(0));
    NewArray<double> actions({n, perceptron.n_outputs()});
    std::vector<float> memory;
    for (size_t i = 0; i < n; ++i)
        perceptron.run(observations.data() + i * perceptron.n_inputs(),
                       actions.mutable_data() + i * perceptron.n_outputs(), memory);
    return actions;
}

// Fixed programs and the library that they are of, checked.
std::vector<ScalarProgram> compile_fixed(const machine::Library* library, const Programs* fixed,
                                         size_t n_observations) {
    std::vector<ScalarProgram> compiled;
    if (!fixed) return compiled;
    if (!library) throw std::invalid_argument("Composition: fixed programs need a library");
    const machine::ProgramView& programs = fixed->view();
    machine::check_programs(*library, programs, n_observations);
    compiled.resize(programs.n_programs);
    for (size_t i = 0; i < programs.n_programs; ++i)
        compiled[i].compile(*library, programs.row(i), programs.lengths[i], programs.slots(i),
                            programs.n_constants);
    return compiled;
}

Composition make_composition(const std::string& kind, const Array<int32_t>& sources,
                             const Array<double>& low, const Array<double>& high, bool is_single,
                             size_t n_observations,
                             const std::optional<std::shared_ptr<Perceptron>>& anchor,
                             const OrNone<machine::Library>& fixed_library,
                             const OrNone<Programs>& fixed) {
    Composition made;
    made.kind = kind == "box"        ? Composition::Kind::box
                : kind == "discrete" ? Composition::Kind::discrete
                                     : Composition::Kind::multi_discrete;
    made.sources = to_vector(sources);
    made.low = to_vector(low), made.high = to_vector(high);
    made.is_single = is_single;
    made.anchor = anchor.value_or(nullptr);
    made.fixed =
        compile_fixed(fixed_library.value_or(nullptr), fixed.value_or(nullptr), n_observations);
    for (const int32_t source : made.sources)
        if (source < Composition::kAnchor || source >= static_cast<int32_t>(made.fixed.size()) ||
            (source == Composition::kAnchor &&
             (!made.anchor || made.anchor->n_outputs() != made.sources.size())))
            throw std::invalid_argument("Composition: a source that is not there");
    if (made.kind == Composition::Kind::box &&
        (made.low.size() != made.n_actions() || made.high.size() != made.n_actions()))
        throw std::invalid_argument("Composition: one bound per action");
    return made;
}

void set_action_tokens(Composition& composition, const Array<int32_t>& dimensions,
                       const Array<double>& values, const Array<double>& defaults) {
    if (static_cast<size_t>(defaults.size()) != composition.n_actions() ||
        dimensions.size() != values.size())
        throw std::invalid_argument("Composition: one default per action");
    for (py::ssize_t i = 0; i < dimensions.size(); ++i)
        if (dimensions.data()[i] >= defaults.size())
            throw std::invalid_argument("Composition: a token sets an action that is not there");
    composition.actions = {to_vector(dimensions), to_vector(values), to_vector(defaults)};
}

// One program ready to act, for loops in Python.
class Actor {
public:
    Actor(const Composition& composition, const machine::Library& library, const Programs& programs,
          size_t n_observations)
        : n_actions_(composition.n_actions()),
          n_observations_(n_observations),
          controller_(composition) {
        if (programs.size() != 1) throw std::invalid_argument("Actor: one program");
        check_policies(library, composition, programs.view(), n_observations);
        controller_.learn(library, programs.view(), 0);
    }
    NewArray<double> act(const Array<double>& observation) {
        if (static_cast<size_t>(observation.size()) != n_observations_)
            throw std::invalid_argument("Actor: the observation has a wrong size");
        NewArray<double> action(n_actions_);
        controller_.act(observation.data(), action.mutable_data());
        return action;
    }

private:
    size_t n_actions_, n_observations_;
    Controller controller_;
};

// Where episodes start; holds the arrays.
struct BoundStarts {
    BoundStarts(const Array<double>& states_, const Array<double>& observations_)
        : states(states_), observations(observations_) {
        if (states.ndim() != 2 || observations.ndim() != 2 ||
            states.shape(0) != observations.shape(0))
            throw std::invalid_argument("Starts: states (E, S) and observations (E, O)");
    }
    Starts view() const {
        return {states.data(), observations.data(), static_cast<size_t>(states.shape(0)),
                static_cast<size_t>(states.shape(1)), static_cast<size_t>(observations.shape(1))};
    }
    Array<double> states, observations;
};

using Played = std::tuple<NewArray<double>, NewArray<int32_t>>;
using Traced = std::tuple<NewArray<double>, NewArray<double>, NewArray<double>>;

// Calls play(returns, steps) without the GIL.
template <class Play>
Played play_all(const Rollout& job, Play play) {
    const std::vector<size_t> shape{job.programs.n_programs, job.starts.n_episodes};
    NewArray<double> returns(shape);
    NewArray<int32_t> steps(shape);
    double* out = returns.mutable_data();
    int32_t* counts = steps.mutable_data();
    {
        const py::gil_scoped_release release;
        play(out, counts);
    }
    return {returns, steps};
}

Traced trace_arrays(const Rollout& job, const Trace& made) {
    const auto matrix = [](const std::vector<double>& values, size_t width) {
        return NewArray<double>({values.size() / width, width}, values.data());
    };
    return {matrix(made.observations, job.starts.n_observations),
            matrix(made.actions, job.composition.n_actions()),
            NewArray<double>(made.rewards.size(), made.rewards.data())};
}

Mujoco make_mujoco(const std::vector<uintptr_t>& functions,
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
void bind_rollouts(py::module_& m, const char* rollout, const char* trace, const char* where_name,
                   Play play, Look look) {
    const auto make_job = [](const machine::Library& library, const Composition& composition,
                             const Programs& programs, const Array<double>& parameters,
                             const BoundStarts& starts, int32_t max_steps) -> Rollout {
        return {library,       programs.view(),   composition,
                starts.view(), parameters.data(), static_cast<size_t>(parameters.size()),
                max_steps};
    };
    m.def(
        rollout,
        [=](const std::string& system, const Array<double>& parameters,
            const Composition& composition, const machine::Library& library,
            const Programs& programs, const BoundStarts& starts, int32_t max_steps,
            const Where& where) {
            const Rollout job =
                make_job(library, composition, programs, parameters, starts, max_steps);
            return play_all(job, [&](double* returns, int32_t* steps) {
                play(system, where, job, returns, steps);
            });
        },
        py::kw_only(), py::arg("system"), py::arg("parameters"), py::arg("composition"),
        py::arg("library"), py::arg("programs"), py::arg("starts"), py::arg("max_steps"),
        py::arg(where_name), "Every program in every episode -> returns, steps, (B, E) each.");
    m.def(
        trace,
        [=](const std::string& system, const Array<double>& parameters,
            const Composition& composition, const machine::Library& library,
            const Programs& programs, const BoundStarts& starts, int32_t max_steps,
            const Where& where) {
            const Rollout job =
                make_job(library, composition, programs, parameters, starts, max_steps);
            return trace_arrays(job, look(system, where, job));
        },
        py::kw_only(), py::arg("system"), py::arg("parameters"), py::arg("composition"),
        py::arg("library"), py::arg("programs"), py::arg("starts"), py::arg("max_steps"),
        py::arg(where_name),
        "The first program's first episode -> observations (n + 1, O), actions (n, A), rewards "
        "(n,).");
}

}  // namespace

void bind_control(py::module_& m) {
    py::class_<Perceptron, std::shared_ptr<Perceptron>>(m, "Perceptron",
                                                        "A trained policy as layers.")
        .def(py::init(&make_perceptron), py::kw_only(), py::arg("weights"), py::arg("biases"),
             py::arg("activation"), py::arg("head"), py::arg("low"), py::arg("high"),
             py::arg("z_limit"), py::arg("mean"), py::arg("deviation"), py::arg("limit"))
        .def("run", &run_perceptron, py::arg("observations"), "(N, O) -> (N, A).");
    py::class_<Composition>(m, "Composition", "How each component of an action comes about.")
        .def(py::init(&make_composition), py::kw_only(), py::arg("kind"), py::arg("sources"),
             py::arg("low"), py::arg("high"), py::arg("is_single"), py::arg("n_observations"),
             py::arg("anchor") = py::none(), py::arg("fixed_library") = py::none(),
             py::arg("fixed") = py::none())
        .def("set_action_tokens", &set_action_tokens, py::arg("dimensions"), py::arg("values"),
             py::arg("defaults"));
    m.attr("LEARNED") = static_cast<int>(Composition::kLearned);
    m.attr("ANCHOR") = static_cast<int>(Composition::kAnchor);
    m.attr("NO_ACTION") = static_cast<int>(ActionTokens::kNone);
    m.attr("STOP_ACTION") = static_cast<int>(ActionTokens::kStop);
    py::class_<Actor>(m, "Actor", "One program, ready to act.")
        .def(py::init<const Composition&, const machine::Library&, const Programs&, size_t>(),
             py::arg("composition"), py::arg("library"), py::arg("programs"),
             py::arg("n_observations"), py::keep_alive<1, 2>())
        .def("act", &Actor::act, py::arg("observation"), "(O,) -> (A,).");
    py::class_<BoundStarts>(m, "Starts", "Where episodes start.")
        .def(py::init<const Array<double>&, const Array<double>&>(), py::arg("states"),
             py::arg("observations"), "States (E, S) and observations (E, O).");
    py::class_<Mujoco>(m, "Mujoco", "The physics library and a simulation per thread.")
        .def(py::init(&make_mujoco), py::kw_only(), py::arg("functions"), py::arg("simulations"),
             py::arg("n_qpos"), py::arg("n_qvel"), py::arg("n_ctrl"), py::arg("frame_skip"));
    bind_rollouts<int>(
        m, "rollout", "trace", "n_threads",
        [](const std::string& system, int n_threads, const Rollout& job, double* returns,
           int32_t* steps) { roll_out(system, job, std::max(1, n_threads), returns, steps); },
        [](const std::string& system, int, const Rollout& job) { return trace(system, job); });
    bind_rollouts<Mujoco>(m, "rollout_mujoco", "trace_mujoco", "mujoco", &roll_out_mujoco,
                          &trace_mujoco);
}

}  // namespace dso::bindings
