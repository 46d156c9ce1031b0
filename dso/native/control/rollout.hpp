// Episodes of native environments under policies, in one loop.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "control/controller.hpp"

namespace dso::control {

// Where episodes start: what the environment's own reset gave.
struct Starts {
    const double* states;        // (E, S)
    const double* observations;  // (E, O)
    size_t n_episodes, n_state, n_observations;
};

// What a single episode was like, step by step.
struct Trace {
    std::vector<double> observations;  // (n + 1, O)
    std::vector<double> actions;       // (n, A)
    std::vector<double> rewards;       // (n,)
};

struct Rollout {
    const machine::Library& library;
    const machine::ProgramView programs;
    const Composition& composition;
    const Starts starts;
    const double* parameters;
    size_t n_parameters;
    int32_t max_steps;
};

// Fill returns (P, E) and steps (P, E) of every program in every episode.
void roll_out(const std::string& system, const Rollout& job, size_t n_threads, double* returns,
              int32_t* steps);

// The first episode of the first program.
Trace trace(const std::string& system, const Rollout& job);

}  // namespace dso::control
