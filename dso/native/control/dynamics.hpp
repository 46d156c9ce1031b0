// The environments of Gymnasium's classic control and ours, step by step the same numbers.
//
// A system is set to a state, stepped by an action and observed. Each does what its Python twin
// does, in the same order and with the same rounding: where the twin's action is a float32 scalar,
// so are the terms computed from it alone, and x**2 of numpy is pow, not x * x.
// Observations are rounded to float32, as spaces say.
#pragma once
#include <cmath>
#include <cstdint>

#include "control/clip.hpp"

namespace dso::control {

constexpr double kPi = 3.141592653589793;

// The exponent is a variable on purpose: the compiler would write x * x for a constant 2, which
// differs in the last place. Where only the reward is concerned, x * x will do.
inline double squared(double x) {
    static volatile double two = 2;
    return std::pow(x, two);
}

// Rounding to float32. Through memory, since gcc 12 at -O3 drops the rounding of a sine and a
// cosine that stand side by side.
inline double as_float(double x) {
    volatile float rounded = static_cast<float>(x);
    return rounded;
}

// The remainder with the sign of the divisor, as Python's %.
inline double python_mod(double x, double divisor) {
    if (x >= 0 && x < divisor) return x;
    const double rest = std::fmod(x, divisor);
    if (rest == 0) return std::copysign(0.0, divisor);
    return (divisor < 0) != (rest < 0) ? rest + divisor : rest;
}

struct CartPoleParameters {
    double gravity, masspole, total_mass, length, polemass_length, force_mag, tau, x_threshold,
        theta_threshold;
    double reward, reward_at_end;
    static constexpr int kCount = 11;
};

// The cart and its pole under a force, one Euler step.
struct CartPoleState {
    double x, x_dot, theta, theta_dot;
    void step(const CartPoleParameters& p, double force) {
        const double cos_theta = std::cos(theta), sin_theta = std::sin(theta);
        const double temp =
            (force + p.polemass_length * (theta_dot * theta_dot) * sin_theta) / p.total_mass;
        const double theta_acc =
            (p.gravity * sin_theta - cos_theta * temp) /
            (p.length * (4.0 / 3.0 - p.masspole * (cos_theta * cos_theta) / p.total_mass));
        const double x_acc = temp - p.polemass_length * theta_acc * cos_theta / p.total_mass;
        x = x + p.tau * x_dot;
        x_dot = x_dot + p.tau * x_acc;
        theta = theta + p.tau * theta_dot;
        theta_dot = theta_dot + p.tau * theta_acc;
    }
};

struct CartPole {
    using Parameters = CartPoleParameters;
    static constexpr int kState = 4, kObservation = 4;
    Parameters p;
    CartPoleState s;
    bool terminated = false;

    void set(const double* state) {
        s = {state[0], state[1], state[2], state[3]};
        terminated = false;
    }
    double step(const double* action) {
        return step_with(action[0] == 1 ? p.force_mag : -p.force_mag);
    }
    double step_with(double force) {
        s.step(p, force);
        terminated = s.x < -p.x_threshold || s.x > p.x_threshold || s.theta < -p.theta_threshold ||
                     s.theta > p.theta_threshold;
        return terminated ? p.reward_at_end : p.reward;
    }
    void observe(double* out) const {
        out[0] = as_float(s.x), out[1] = as_float(s.x_dot);
        out[2] = as_float(s.theta), out[3] = as_float(s.theta_dot);
    }
};

struct CartPoleContinuous : CartPole {
    double step(const double* action) {
        return step_with(p.force_mag * clip(action[0], -1.0, 1.0));
    }
};

struct CartPoleSwingUp {
    struct Parameters {
        double gravity, mass_cart, mass_pole, length, friction, force_mag, tau, x_threshold;
        static constexpr int kCount = 8;
    };
    static constexpr int kState = 4, kObservation = 5;
    Parameters p;
    CartPoleState s;
    bool terminated = false;

    void set(const double* state) {
        s = {state[0], state[1], state[2], state[3]};
        terminated = false;
    }
    double step(const double* action) {
        const double force = p.force_mag * clip(action[0], -1.0, 1.0);
        const double sin_theta = std::sin(s.theta), cos_theta = std::cos(s.theta);
        const double total = p.mass_cart + p.mass_pole;
        const double pull = p.mass_pole * p.length * s.theta_dot * s.theta_dot * sin_theta;
        const double temp = (force - p.friction * s.x_dot + pull) / total;
        const double theta_acc =
            (p.gravity * sin_theta - cos_theta * temp) /
            (p.length * (4.0 / 3.0 - p.mass_pole * cos_theta * cos_theta / total));
        const double x_acc = temp - p.mass_pole * p.length * theta_acc * cos_theta / total;
        s.x_dot = s.x_dot + p.tau * x_acc;
        s.theta_dot = s.theta_dot + p.tau * theta_acc;
        s.x = s.x + p.tau * s.x_dot;
        s.theta = s.theta + p.tau * s.theta_dot;
        terminated = std::fabs(s.x) > p.x_threshold;
        return 0.5 * (1.0 + std::cos(s.theta));
    }
    void observe(double* out) const {
        out[0] = as_float(s.x), out[1] = as_float(s.x_dot);
        out[2] = as_float(std::cos(s.theta)), out[3] = as_float(std::sin(s.theta));
        out[4] = as_float(s.theta_dot);
    }
};

struct Pendulum {
    struct Parameters {
        double max_speed, max_torque, dt, g, m, l;
        static constexpr int kCount = 6;
    };
    static constexpr int kState = 2, kObservation = 3;
    Parameters p;
    double theta = 0, theta_dot = 0, sin_theta = 0;
    bool terminated = false;

    void set(const double* state) {
        theta = state[0], theta_dot = state[1];
        sin_theta = std::sin(theta);
    }
    double step(const double* action) {
        const auto limit = static_cast<float>(p.max_torque);
        const float u = clip(static_cast<float>(action[0]), -limit, limit);
        const double angle = python_mod(theta + kPi, 2 * kPi) - kPi;
        const float effort = 0.001f * (u * u);
        const double cost = angle * angle + 0.1 * (theta_dot * theta_dot) + effort;
        const float push = static_cast<float>(3.0 / (p.m * (p.l * p.l))) * u;
        const double pull = 3 * p.g / (2 * p.l) * sin_theta;
        theta_dot = clip(theta_dot + (pull + push) * p.dt, -p.max_speed, p.max_speed);
        theta = theta + theta_dot * p.dt;
        sin_theta = std::sin(theta);
        return -cost;
    }
    void observe(double* out) const {
        out[0] = as_float(std::cos(theta)), out[1] = as_float(sin_theta);
        out[2] = as_float(theta_dot);
    }
};

struct MountainCar {
    struct Parameters {
        double min_position, max_position, max_speed, goal_position, goal_velocity, force, gravity;
        static constexpr int kCount = 7;
    };
    static constexpr int kState = 2, kObservation = 2;
    Parameters p;
    double position = 0, velocity = 0;
    bool terminated = false;

    void set(const double* state) {
        position = state[0], velocity = state[1];
        terminated = false;
    }
    double step(const double* action) {
        velocity += (action[0] - 1) * p.force + std::cos(3 * position) * -p.gravity;
        velocity = clip(velocity, -p.max_speed, p.max_speed);
        position = clip(position + velocity, p.min_position, p.max_position);
        if (position == p.min_position && velocity < 0) velocity = 0;
        terminated = position >= p.goal_position && velocity >= p.goal_velocity;
        return -1;
    }
    void observe(double* out) const { out[0] = as_float(position), out[1] = as_float(velocity); }
};

struct MountainCarContinuous {
    struct Parameters {
        double min_action, max_action, min_position, max_position, max_speed, goal_position,
            goal_velocity, power;
        static constexpr int kCount = 8;
    };
    static constexpr int kState = 2, kObservation = 2;
    Parameters p;
    double position = 0, velocity = 0;
    bool terminated = false, is_single = false;

    void set(const double* state) {
        position = state[0], velocity = state[1];
        terminated = is_single = false;
    }
    // The state is float64 when an episode starts, float32 from the first step on.
    double step(const double* action) {
        const double cost = action[0] * action[0] * 0.1;
        if (is_single)
            move<float>(static_cast<float>(action[0]));
        else
            move<double>(static_cast<float>(action[0]));
        is_single = true;
        return (terminated ? 100.0 : 0.0) - cost;
    }
    template <class Real>
    void move(float action) {
        const auto low = static_cast<float>(p.min_action), high = static_cast<float>(p.max_action);
        const auto least = static_cast<Real>(p.min_position),
                   most = static_cast<Real>(p.max_position);
        const auto fastest = static_cast<Real>(p.max_speed);
        auto x = static_cast<Real>(position), v = static_cast<Real>(velocity);
        const float force = clip(action, low, high);
        const auto slope = static_cast<float>(0.0025 * std::cos(static_cast<double>(3 * x)));
        v += force * static_cast<float>(p.power) - slope;
        v = clip(v, -fastest, fastest);
        x = clip(x + v, least, most);
        if (x == least && v < 0) v = 0;
        terminated =
            x >= static_cast<Real>(p.goal_position) && v >= static_cast<Real>(p.goal_velocity);
        position = as_float(x), velocity = as_float(v);
    }
    void observe(double* out) const { out[0] = position, out[1] = velocity; }
};

struct Acrobot {
    struct Parameters {
        double dt, l1, m1, m2, lc1, lc2, inertia, max_velocity1, max_velocity2, torques[3], is_book;
        static constexpr int kCount = 13;
    };
    static constexpr int kState = 4, kObservation = 6;
    Parameters p;
    double s[4] = {};
    bool terminated = false;

    void set(const double* state) {
        std::copy(state, state + 4, s);
        terminated = false;
    }
    double step(const double* action) {
        const double torque = p.torques[static_cast<int>(action[0])];
        double k1[4], k2[4], k3[4], k4[4], y[4];
        derivative(s, torque, k1);
        for (int i = 0; i < 4; ++i) y[i] = s[i] + p.dt / 2.0 * k1[i];
        derivative(y, torque, k2);
        for (int i = 0; i < 4; ++i) y[i] = s[i] + p.dt / 2.0 * k2[i];
        derivative(y, torque, k3);
        for (int i = 0; i < 4; ++i) y[i] = s[i] + p.dt * k3[i];
        derivative(y, torque, k4);
        for (int i = 0; i < 4; ++i)
            s[i] = s[i] + p.dt / 6.0 * (k1[i] + 2 * k2[i] + 2 * k3[i] + k4[i]);
        for (int i = 0; i < 2; ++i) {
            while (s[i] > kPi) s[i] = s[i] - 2 * kPi;
            while (s[i] < -kPi) s[i] = s[i] + 2 * kPi;
        }
        s[2] = clip(s[2], -p.max_velocity1, p.max_velocity1);
        s[3] = clip(s[3], -p.max_velocity2, p.max_velocity2);
        terminated = -std::cos(s[0]) - std::cos(s[1] + s[0]) > 1.0;
        return terminated ? 0 : -1;
    }
    void derivative(const double* y, double torque, double* out) const {
        constexpr double g = 9.8;
        const double theta1 = y[0], theta2 = y[1], w1 = y[2], w2 = y[3];
        const double cos2 = std::cos(theta2), sin2 = std::sin(theta2);
        const double arms = p.l1 * p.l1 + p.lc2 * p.lc2 + 2 * p.l1 * p.lc2 * cos2;
        const double d1 = p.m1 * (p.lc1 * p.lc1) + p.m2 * arms + p.inertia + p.inertia;
        const double d2 = p.m2 * (p.lc2 * p.lc2 + p.l1 * p.lc2 * cos2) + p.inertia;
        const double phi2 = p.m2 * p.lc2 * g * std::cos(theta1 + theta2 - kPi / 2.0);
        const double phi1 = -p.m2 * p.l1 * p.lc2 * squared(w2) * sin2 -
                            2 * p.m2 * p.l1 * p.lc2 * w2 * w1 * sin2 +
                            (p.m1 * p.lc1 + p.m2 * p.l1) * g * std::cos(theta1 - kPi / 2) + phi2;
        const double inertia = p.m2 * (p.lc2 * p.lc2) + p.inertia - squared(d2) / d1;
        double push = torque + d2 / d1 * phi1;
        if (p.is_book) push = push - p.m2 * p.l1 * p.lc2 * squared(w1) * sin2;
        const double acc2 = (push - phi2) / inertia;
        out[0] = w1, out[1] = w2, out[2] = -(d2 * acc2 + phi1) / d1, out[3] = acc2;
    }
    void observe(double* out) const {
        out[0] = as_float(std::cos(s[0])), out[1] = as_float(std::sin(s[0]));
        out[2] = as_float(std::cos(s[1])), out[3] = as_float(std::sin(s[1]));
        out[4] = as_float(s[2]), out[5] = as_float(s[3]);
    }
};

}  // namespace dso::control
