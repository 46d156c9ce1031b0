#include "control/mujoco_rollout.hpp"

#include <cmath>
#include <cstring>
#include <stdexcept>

#include "control/clip.hpp"
#include "control/episode.hpp"

namespace dso::control {

// What the environments of Gymnasium have in common: how they start and how they step.
struct MujocoSystem {
    const Mujoco* mujoco;
    Simulation own;
    bool terminated = false;

    void set(const double* state) {
        mujoco->functions.reset(own.model, own.data);
        std::copy_n(state, mujoco->n_qpos, own.qpos);
        std::copy_n(state + mujoco->n_qpos, mujoco->n_qvel, own.qvel);
        mujoco->functions.forward(own.model, own.data);
        terminated = false;
    }
    void simulate(const double* action) {
        std::copy_n(action, mujoco->n_ctrl, own.ctrl);
        for (int32_t i = 0; i < mujoco->frame_skip; ++i)
            mujoco->functions.step(own.model, own.data);
        mujoco->functions.rne_post_constraint(own.model, own.data);
    }
    // Python squares and adds actions as float32.
    float effort(const double* action) const {
        float total = 0;
        for (size_t i = 0; i < mujoco->n_ctrl; ++i) {
            const auto u = static_cast<float>(action[i]);
            total += u * u;
        }
        return total;
    }
};

struct InvertedPendulum : MujocoSystem {
    struct Parameters {
        double angle_limit;
        static constexpr int kCount = 1;
    } p;
    static size_t n_observations(const Mujoco& m, const Parameters&) { return m.n_qpos + m.n_qvel; }
    double step(const double* action) {
        simulate(action);
        bool is_finite = true;
        for (size_t i = 0; i < mujoco->n_qpos; ++i) is_finite &= std::isfinite(own.qpos[i]);
        for (size_t i = 0; i < mujoco->n_qvel; ++i) is_finite &= std::isfinite(own.qvel[i]);
        terminated = !is_finite || std::fabs(own.qpos[1]) > p.angle_limit;
        return terminated ? 0 : 1;
    }
    void observe(double* out) const {
        std::copy_n(own.qpos, mujoco->n_qpos, out);
        std::copy_n(own.qvel, mujoco->n_qvel, out + mujoco->n_qpos);
    }
};

struct InvertedDoublePendulum : MujocoSystem {
    struct Parameters {
        double healthy_reward;
        static constexpr int kCount = 1;
    } p;
    static size_t n_observations(const Mujoco&, const Parameters&) { return 9; }
    double step(const double* action) {
        simulate(action);
        const double x = own.site_xpos[0], y = own.site_xpos[2];
        const double v1 = own.qvel[1], v2 = own.qvel[2];
        terminated = y <= 1;
        const double distance = 0.01 * (x * x) + (y - 2) * (y - 2);
        const double speed = 1e-3 * (v1 * v1) + 5e-3 * (v2 * v2);
        return (terminated ? 0 : p.healthy_reward) - distance - speed;
    }
    void observe(double* out) const {
        out[0] = own.qpos[0];
        for (int i = 0; i < 2; ++i) {
            out[1 + i] = std::sin(own.qpos[1 + i]);
            out[3 + i] = std::cos(own.qpos[1 + i]);
        }
        for (int i = 0; i < 3; ++i) out[5 + i] = clip(own.qvel[i], -10.0, 10.0);
        out[8] = clip(own.qfrc_constraint[0], -10.0, 10.0);
    }
};

// Hopper, walker, cheetah and swimmer: forward speed, effort, and staying healthy.
struct Locomotion : MujocoSystem {
    struct Parameters {
        double dt, forward_weight, effort_weight, healthy_reward, ends_when_unhealthy;
        double state_low, state_high, z_low, z_high, angle_low, angle_high;
        double speed_limit, n_skipped;
        static constexpr int kCount = 13;
    } p;
    static size_t n_observations(const Mujoco& m, const Parameters& p) {
        return m.n_qpos + m.n_qvel - static_cast<size_t>(p.n_skipped);
    }
    double step(const double* action) {
        const double before = own.qpos[0];
        simulate(action);
        const double speed = (own.qpos[0] - before) / p.dt;
        const bool healthy = is_healthy();
        terminated = !healthy && p.ends_when_unhealthy;
        const float cost = static_cast<float>(p.effort_weight) * effort(action);
        return p.forward_weight * speed + (healthy ? p.healthy_reward : 0.0) - cost;
    }
    bool is_healthy() const {
        const auto within = [this](double x) { return p.state_low < x && x < p.state_high; };
        for (size_t i = 2; i < mujoco->n_qpos; ++i)
            if (!within(own.qpos[i])) return false;
        for (size_t i = 0; i < mujoco->n_qvel; ++i)
            if (!within(own.qvel[i])) return false;
        const double z = own.qpos[1], angle = own.qpos[2];
        return p.z_low < z && z < p.z_high && p.angle_low < angle && angle < p.angle_high;
    }
    void observe(double* out) const {
        const auto skipped = static_cast<size_t>(p.n_skipped);
        out = std::copy(own.qpos + skipped, own.qpos + mujoco->n_qpos, out);
        for (size_t i = 0; i < mujoco->n_qvel; ++i)
            out[i] = clip(own.qvel[i], -p.speed_limit, p.speed_limit);
    }
};

template <class System>
static std::vector<System> make_systems(const Mujoco& mujoco, const Rollout& job) {
    using Parameters = typename System::Parameters;
    static_assert(sizeof(Parameters) == Parameters::kCount * sizeof(double));
    if (job.n_parameters != Parameters::kCount)
        throw std::invalid_argument("rollout: parameters of a wrong size");
    Parameters parameters;
    std::memcpy(&parameters, job.parameters, sizeof parameters);
    if (job.starts.n_state != mujoco.n_qpos + mujoco.n_qvel ||
        job.starts.n_observations != System::n_observations(mujoco, parameters) ||
        job.composition.n_actions() != mujoco.n_ctrl || mujoco.simulations.empty())
        throw std::invalid_argument("rollout: states, observations or actions of a wrong size");
    std::vector<System> systems;
    for (const Simulation& simulation : mujoco.simulations) {
        System system;
        system.mujoco = &mujoco;
        system.own = simulation;
        system.p = parameters;
        systems.push_back(system);
    }
    return systems;
}

// Calls use(systems) with the systems of that name.
template <class Use>
static void with_systems(const std::string& name, const Mujoco& mujoco, const Rollout& job,
                         Use use) {
    check_policies(job.library, job.composition, job.programs, job.starts.n_observations);
    const auto with = [&](auto systems) { use(systems); };
    if (name == "InvertedPendulum") return with(make_systems<InvertedPendulum>(mujoco, job));
    if (name == "InvertedDoublePendulum")
        return with(make_systems<InvertedDoublePendulum>(mujoco, job));
    if (name == "Locomotion") return with(make_systems<Locomotion>(mujoco, job));
    throw std::invalid_argument("rollout: no MuJoCo system " + name);
}

void roll_out_mujoco(const std::string& system, const Mujoco& mujoco, const Rollout& job,
                     double* returns, int32_t* steps) {
    with_systems(system, mujoco, job,
                 [&](auto& systems) { run_all(systems, job, returns, steps); });
}

Trace trace_mujoco(const std::string& system, const Mujoco& mujoco, const Rollout& job) {
    Trace trace;
    with_systems(system, mujoco, job, [&](auto& systems) { trace = trace_first(systems[0], job); });
    return trace;
}

}  // namespace dso::control
