#include "control/rollout.hpp"

#include <cstring>
#include <stdexcept>

#include "control/dynamics.hpp"
#include "control/episode.hpp"

namespace dso::control {

template <class System>
static System make_system(const Rollout& job) {
    using Parameters = typename System::Parameters;
    static_assert(sizeof(Parameters) == Parameters::kCount * sizeof(double));
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
    std::vector<System> systems(n_threads, make_system<System>(job));
    run_all(systems, job, returns, steps);
}

template <class System>
static Trace trace_system(const Rollout& job) {
    System system = make_system<System>(job);
    return trace_first(system, job);
}

struct NativeSystem {
    const char* name;
    void (*roll_out)(const Rollout&, size_t, double*, int32_t*);
    Trace (*trace)(const Rollout&);
};
#define SYSTEM(name) {#name, roll_out_system<name>, trace_system<name>}
constexpr NativeSystem kSystems[] = {
    SYSTEM(CartPole),    SYSTEM(CartPoleContinuous),    SYSTEM(CartPoleSwingUp), SYSTEM(Pendulum),
    SYSTEM(MountainCar), SYSTEM(MountainCarContinuous), SYSTEM(Acrobot)};

static const NativeSystem& find(const std::string& system) {
    for (const NativeSystem& entry : kSystems)
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

}  // namespace dso::control
