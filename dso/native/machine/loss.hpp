// Losses of single rows: functions of prediction and target that a run is to make small.
#pragma once
#include "machine/data.hpp"
#include "machine/library.hpp"
#include "machine/vm.hpp"

namespace dso::machine {

// l(p, y) or l(p, y, w) as a formula, with its first and second derivative in p. Without w its
// rows are weighted; with w it does so itself:
//     mean loss = sum w l(p, y) / sum w    or    sum l(p, y, w) / sum w
class Loss {
public:
    // `softening`: see LossOfRows::curvature.
    Loss(int32_t n_arguments, Definition value, Definition slope, Definition second,
         double softening);
    const Library& library() const { return library_; }
    bool takes_weight() const { return takes_weight_; }
    double softening() const { return softening_; }

private:
    Library library_;
    const bool takes_weight_;
    const double softening_;
};

// A loss with the rows that it compares predictions with.
struct LossData {
    LossData(const Loss& loss, const Target& target);
    const double* multipliers() const { return multipliers_; }  // of each row, 0 on padding

    const Loss& loss;
    const Columns columns;  // target and weight

private:
    Buffer storage_;
    double* multipliers_;
};

// One thread's evaluator of a loss, for tiles of predictions.
class LossOfRows {
public:
    explicit LossOfRows(const LossData& data);

    // The weighted sum of the losses of rows [row, row + n).
    double sum(const double* prediction, size_t row, size_t n);

    // What least squares would need of these rows, so that their sums are half of what the loss
    // gains by a step d in p, to second order: roots^2 and roots * errors for
    //     sum l(p + d) - l(p) = sum m (l' d + h d^2 / 2),   m the multipliers,
    //     h = max(|l''|, |l'| / (|p - y| + softening))
    // The second of these is the weight of iteratively reweighted least squares. It is an upper
    // bound of losses that are concave in (p - y)^2, where l'' is too small or none.
    void linearise(const double* prediction, size_t row, size_t n, double* roots, double* errors);

private:
    const double* run(Machine& machine, const double* prediction, size_t row, size_t n);

    const LossData& data_;
    Machine value_, slope_, second_;
};

}  // namespace dso::machine
