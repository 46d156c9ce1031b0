// Episodes of MuJoCo's environments: the physics is the library that Python has loaded.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "control/rollout.hpp"

namespace dso::control {

// Functions of the library, by their addresses; no header of MuJoCo is needed.
struct MujocoFunctions {
    using Call = void (*)(const void* model, void* data);
    Call step, forward, rne_post_constraint;
    void (*reset)(const void* model, void* data);
};

// One simulation. Numpy's views of the fields of a simulation tell where they are.
struct Simulation {
    const void* model;
    void* data;
    double *qpos, *qvel, *ctrl, *site_xpos, *qfrc_constraint;
};

struct Mujoco {
    MujocoFunctions functions;
    std::vector<Simulation> simulations;  // one per thread
    size_t n_qpos, n_qvel, n_ctrl;
    int32_t frame_skip;
};

void roll_out_mujoco(const std::string& system, const Mujoco& mujoco, const Rollout& job,
                     double* returns, int32_t* steps);
Trace trace_mujoco(const std::string& system, const Mujoco& mujoco, const Rollout& job);

}  // namespace dso::control
