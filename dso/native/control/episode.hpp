// One episode of any system that can be set, stepped and observed.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "control/controller.hpp"
#include "control/rollout.hpp"
#include "threads.hpp"

namespace dso::control {

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

// What a thread needs for an episode beside the system.
struct EpisodeMemory {
    explicit EpisodeMemory(const Rollout& job)
        : observation(job.starts.n_observations),
          action(job.composition.n_actions()),
          controller(job.composition) {}
    std::vector<double> observation, action;
    Controller controller;
};

//     while not over: action = policy(observation); reward, observation = step(action)
template <class System, class Recorder>
int32_t run_episode(System& system, EpisodeMemory& memory, const Rollout& job, size_t e,
                    Recorder record, double& total) {
    const size_t n = job.starts.n_observations, n_actions = job.composition.n_actions();
    double *x = memory.observation.data(), *action = memory.action.data();
    system.set(job.starts.states + e * job.starts.n_state);
    std::copy_n(job.starts.observations + e * n, n, x);
    record.observation(x, n);
    total = 0;
    for (int32_t t = 0; t < job.max_steps; ++t) {
        memory.controller.act(x, action);
        const double reward = system.step(action);
        total += reward;
        system.observe(x);
        record.step(action, n_actions, reward);
        record.observation(x, n);
        if (system.terminated) return t + 1;
    }
    return job.max_steps;
}

// All episodes of all programs; systems[w] is that of thread w.
template <class System>
void run_all(std::vector<System>& systems, const Rollout& job, double* returns, int32_t* steps) {
    const size_t n_threads = systems.size();
    const size_t E = job.starts.n_episodes, n_jobs = job.programs.n_programs * E;
    const size_t chunk = std::clamp<size_t>(n_jobs / (n_threads * kChunksPerThread), 1, 4 * E + 1);
    parallel_for(n_jobs, n_threads, chunk, [&](size_t worker, size_t begin, size_t end) {
        System& system = systems[worker];
        EpisodeMemory memory(job);
        for (size_t j = begin; j < end; ++j) {
            if (j == begin || j % E == 0) memory.controller.learn(job.library, job.programs, j / E);
            steps[j] = run_episode(system, memory, job, j % E, NoRecord{}, returns[j]);
        }
    });
}

// The first episode of the first program.
template <class System>
Trace trace_first(System& system, const Rollout& job) {
    if (job.programs.n_programs == 0 || job.starts.n_episodes == 0)
        throw std::invalid_argument("trace: a program and a start are needed");
    EpisodeMemory memory(job);
    memory.controller.learn(job.library, job.programs, 0);
    Trace trace;
    double total;
    run_episode(system, memory, job, 0, Record{trace}, total);
    return trace;
}

}  // namespace dso::control
