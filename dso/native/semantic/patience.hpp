// Patience: whether somebody has asked for the end of a long loop.
#pragma once
#include <chrono>
#include <functional>

namespace dso::semantic {

using Clock = std::chrono::steady_clock;
using IsOver = std::function<bool()>;  // nothing: never

// Asks at once, and then at most every 50 milliseconds, however often it is asked itself.
class Patience {
public:
    explicit Patience(IsOver is_over) : ask_(std::move(is_over)) {}
    bool is_over() {
        if (!ask_ || is_over_) return is_over_;
        const auto now = Clock::now();
        if (now < next_) return false;
        is_over_ = ask_();
        next_ = now + std::chrono::milliseconds(50);
        return is_over_;
    }

private:
    IsOver ask_;
    bool is_over_ = false;
    Clock::time_point next_{};
};

}  // namespace dso::semantic
