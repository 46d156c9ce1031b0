#include "rollout.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "dynamics.hpp"
#include "threads.hpp"

namespace dso {

constexpr size_t kMostActions = 64, kMostObservations = 16;
constexpr size_t kChunksPerThread = 8;

struct NoRecord {
    void observation(const double*, size_t) {}
    void step(const double*, size_t, double) {}
};

struct Record {
    Trace& trace;
    void observation(const double* x, size_t n) {
        trace.observations.insert(trace.observations.end(), x, x + n);
    }
    void step(const double* action, size_t n, double reward) {
        trace.actions.insert(trace.actions.end(), action, action + n);
        trace.rewards.push_back(reward);
    }
};

// One episode:
//     while not over: action = policy(observation); reward, observation = step(action)
template <class System, class Recorder>
static int32_t run_episode(System& system, Controller& controller, const Rollout& job, size_t e,
                           Recorder record, double& total) {
    constexpr size_t n = System::kObservation;
    double x[kMostObservations], action[kMostActions];
    system.set(job.starts.states + e * job.starts.n_state);
    std::copy_n(job.starts.observations + e * n, n, x);
    record.observation(x, n);
    total = 0;
    for (int32_t t = 0; t < job.max_steps; ++t) {
        controller.act(x, action);
        const double reward = system.step(action);
        total += reward;
        system.observe(x);
        record.step(action, job.composition.n_actions(), reward);
        record.observation(x, n);
        if (system.terminated) return t + 1;
    }
    return job.max_steps;
}

template <class System>
static System make_system(const Rollout& job) {
    using Parameters = typename System::Parameters;
    static_assert(sizeof(Parameters) == Parameters::kCount * sizeof(double));
    static_assert(System::kObservation <= kMostObservations);
    if (job.n_parameters != Parameters::kCount || job.starts.n_state != System::kState ||
        job.starts.n_observations != System::kObservation)
        throw std::invalid_argument("rollout: parameters, states or observations of a wrong size");
    if (job.composition.n_actions() != 1)
        throw std::invalid_argument("rollout: this system takes one action");
    System system;
    std::memcpy(&system.p, job.parameters, sizeof(Parameters));
    return system;
}

template <class System>
static void roll_out_system(const Rollout& job, size_t n_threads, double* returns, int32_t* steps) {
    const System system = make_system<System>(job);
    const size_t E = job.starts.n_episodes, n_jobs = job.programs.n_programs * E;
    const size_t chunk = std::clamp<size_t>(n_jobs / (n_threads * kChunksPerThread), 1, 4 * E + 1);
    parallel_for(n_jobs, n_threads, chunk, [&](size_t, size_t begin, size_t end) {
        System own = system;
        Controller controller(job.composition);
        for (size_t j = begin; j < end; ++j) {
            if (j == begin || j % E == 0) controller.learn(job.library, job.programs, j / E);
            steps[j] = run_episode(own, controller, job, j % E, NoRecord{}, returns[j]);
        }
    });
}

template <class System>
static Trace trace_system(const Rollout& job) {
    System system = make_system<System>(job);
    if (job.programs.n_programs == 0 || job.starts.n_episodes == 0)
        throw std::invalid_argument("trace: a program and a start are needed");
    Controller controller(job.composition);
    controller.learn(job.library, job.programs, 0);
    Trace trace;
    double total;
    run_episode(system, controller, job, 0, Record{trace}, total);
    return trace;
}

struct Entry {
    const char* name;
    void (*roll_out)(const Rollout&, size_t, double*, int32_t*);
    Trace (*trace)(const Rollout&);
};
#define SYSTEM(name) {#name, roll_out_system<name>, trace_system<name>}
constexpr Entry kSystems[] = {
    SYSTEM(CartPole),    SYSTEM(CartPoleContinuous),    SYSTEM(CartPoleSwingUp), SYSTEM(Pendulum),
    SYSTEM(MountainCar), SYSTEM(MountainCarContinuous), SYSTEM(Acrobot)};

static const Entry& find(const std::string& system) {
    for (const Entry& entry : kSystems)
        if (system == entry.name) return entry;
    throw std::invalid_argument("rollout: no native system " + system);
}

void roll_out(const std::string& system, const Rollout& job, size_t n_threads, double* returns,
              int32_t* steps) {
    check_policies(job.library, job.composition, job.programs, job.starts.n_observations);
    find(system).roll_out(job, n_threads, returns, steps);
}

Trace trace(const std::string& system, const Rollout& job) {
    check_policies(job.library, job.composition, job.programs, job.starts.n_observations);
    return find(system).trace(job);
}

}  // namespace dso
