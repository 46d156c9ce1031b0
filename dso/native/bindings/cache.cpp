// What is known of programs: rewards, keys.
#include "machine/cache.hpp"

#include <pybind11/typing.h>

#include <limits>

#include "bindings/arrays.hpp"
#include "machine/keys.hpp"

namespace dso::bindings {

using namespace machine;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

using State = py::typing::Dict<py::str, py::array>;
using Known = std::tuple<NewArray<bool>, NewArray<double>, NewArray<uint8_t>, NewArray<int32_t>,
                         NewArray<double>>;

NewArray<int32_t> first_rows_of(const Array<uint64_t>& keys) {
    NewArray<int32_t> first(keys.size());
    first_rows(keys.data(), static_cast<size_t>(keys.size()), first.mutable_data());
    return first;
}

Known cache_lookup(RewardCache& cache, const Array<uint64_t>& keys) {
    const py::ssize_t n = keys.size();
    NewArray<bool> found(n);
    NewArray<double> rewards(n);
    VerdictArrays arrays(n);
    const Verdicts verdicts = arrays.view();
    const size_t K = cache.n_constants();
    NewArray<double> constants = filled({static_cast<size_t>(n), K}, kNaN);
    for (py::ssize_t i = 0; i < n; ++i) {
        const CacheEntry* entry = cache.find(keys.data()[i]);
        if (entry && !cache.is_valid(*entry)) entry = nullptr;
        if (entry) std::copy_n(cache.constants(*entry), K, constants.mutable_data() + i * K);
        found.mutable_data()[i] = entry != nullptr;
        rewards.mutable_data()[i] = entry ? entry->reward : kNaN;
        verdicts.set(i, entry ? Verdict{static_cast<Cause>(entry->cause), entry->node} : Verdict{});
    }
    return {found, rewards, arrays.cause, arrays.node, constants};
}

void require_length(const char* name, py::ssize_t given, py::ssize_t expected) {
    if (given != expected)
        throw std::invalid_argument(std::string(name) + ": one value per key is needed");
}

// No program has more constants than positions.
void require_constants(size_t K) {
    if (K > static_cast<size_t>(std::numeric_limits<int16_t>::max()))
        throw std::invalid_argument("constants: more per program than it has positions");
}

void cache_insert(RewardCache& cache, const Array<uint64_t>& keys, const Array<double>& rewards,
                  const Array<uint8_t>& cause, const Array<int32_t>& node, uint32_t iteration,
                  const OptionalArray& constants) {
    require_length("rewards", rewards.size(), keys.size());
    require_length("cause", cause.size(), keys.size());
    require_length("node", node.size(), keys.size());
    if (constants && (constants->ndim() != 2 || constants->shape(0) != keys.size()))
        throw std::invalid_argument("constants: (B, K), one row per key");
    const size_t K = constants ? constants->shape(1) : 0;
    require_constants(K);
    cache.widen(K);
    for (py::ssize_t i = 0; i < keys.size(); ++i) {
        const CacheEntry* expired = cache.find(keys.data()[i]);
        cache.insert({keys.data()[i], rewards.data()[i], expired ? expired->on_policy : 0,
                      expired ? expired->off_policy : 0, iteration,
                      static_cast<int16_t>(node.data()[i]), cause.data()[i], true},
                     K ? constants->data() + i * K : nullptr, K);
    }
}

NewArray<bool> cache_contains(RewardCache& cache, const Array<uint64_t>& keys) {
    NewArray<bool> found(keys.size());
    for (py::ssize_t i = 0; i < keys.size(); ++i)
        found.mutable_data()[i] = cache.find(keys.data()[i]) != nullptr;
    return found;
}

void cache_count(RewardCache& cache, const Array<uint64_t>& keys, const Array<bool>& on_policy) {
    require_length("on_policy", on_policy.size(), keys.size());
    for (py::ssize_t i = 0; i < keys.size(); ++i)
        if (CacheEntry* entry = cache.find(keys.data()[i]))
            ++(on_policy.data()[i] ? entry->on_policy : entry->off_policy);
}

std::tuple<NewArray<int64_t>, NewArray<int64_t>> cache_counts(RewardCache& cache,
                                                              const Array<uint64_t>& keys) {
    NewArray<int64_t> on(keys.size()), off(keys.size());
    for (py::ssize_t i = 0; i < keys.size(); ++i) {
        const CacheEntry* entry = cache.find(keys.data()[i]);
        on.mutable_data()[i] = entry ? entry->on_policy : 0;
        off.mutable_data()[i] = entry ? entry->off_policy : 0;
    }
    return {on, off};
}

// All entries as arrays in the order of their keys, so that equal caches give equal arrays.
State cache_state(const RewardCache& cache) {
    std::vector<const CacheEntry*> entries;
    for (const CacheEntry& slot : cache.slots())
        if (slot.used) entries.push_back(&slot);
    std::sort(entries.begin(), entries.end(),
              [](const CacheEntry* a, const CacheEntry* b) { return a->key < b->key; });
    const size_t n = entries.size(), K = cache.n_constants();
    NewArray<uint64_t> keys(n);
    NewArray<double> rewards(n), constants({n, K});
    NewArray<uint32_t> on_policy(n), off_policy(n), iterations(n);
    NewArray<int16_t> nodes(n);
    NewArray<uint8_t> causes(n);
    for (size_t i = 0; i < n; ++i) {
        const CacheEntry& entry = *entries[i];
        keys.mutable_data()[i] = entry.key;
        rewards.mutable_data()[i] = entry.reward;
        on_policy.mutable_data()[i] = entry.on_policy;
        off_policy.mutable_data()[i] = entry.off_policy;
        iterations.mutable_data()[i] = entry.iteration;
        nodes.mutable_data()[i] = entry.node;
        causes.mutable_data()[i] = entry.cause;
        std::copy_n(cache.constants(entry), K, constants.mutable_data() + i * K);
    }
    State state;
    state["keys"] = keys;
    state["rewards"] = rewards;
    state["on_policy"] = on_policy;
    state["off_policy"] = off_policy;
    state["iterations"] = iterations;
    state["nodes"] = nodes;
    state["causes"] = causes;
    state["constants"] = constants;
    return state;
}

// One column of a cache's state: of exactly the type and length that `cache_state` gives it.
template <typename T>
NewArray<T> state_column(const State& state, const char* name, py::ssize_t n) {
    if (!state.contains(name) || !py::isinstance<NewArray<T>>(state[name]))
        throw std::invalid_argument(std::string("RewardCache: the state has no ") + name);
    auto column = py::array_t<T, py::array::c_style>::ensure(state[name]);
    if (column.ndim() != 1 || (n >= 0 && column.size() != n))
        throw std::invalid_argument(std::string("RewardCache: ") + name + ": one value per key");
    return column;
}

void cache_load(RewardCache& cache, const State& state) {
    const auto keys = state_column<uint64_t>(state, "keys", -1);
    const py::ssize_t n = keys.size();
    const auto rewards = state_column<double>(state, "rewards", n);
    const auto on_policy = state_column<uint32_t>(state, "on_policy", n);
    const auto off_policy = state_column<uint32_t>(state, "off_policy", n);
    const auto iterations = state_column<uint32_t>(state, "iterations", n);
    const auto nodes = state_column<int16_t>(state, "nodes", n);
    const auto causes = state_column<uint8_t>(state, "causes", n);
    if (!state.contains("constants") || !py::isinstance<NewArray<double>>(state["constants"]))
        throw std::invalid_argument("RewardCache: the state has no constants");
    const auto constants = py::array_t<double, py::array::c_style>::ensure(state["constants"]);
    if (constants.ndim() != 2 || constants.shape(0) != n)
        throw std::invalid_argument("RewardCache: constants: (B, K), one row per key");
    const size_t K = constants.shape(1);
    require_constants(K);
    for (py::ssize_t i = 0; i < n; ++i)
        if (causes.data()[i] > static_cast<uint8_t>(Cause::invalid))
            throw std::invalid_argument("RewardCache: causes: a number that means nothing");
    cache.clear();
    cache.widen(K);
    for (py::ssize_t i = 0; i < n; ++i)
        cache.insert({keys.data()[i], rewards.data()[i], on_policy.data()[i], off_policy.data()[i],
                      iterations.data()[i], nodes.data()[i], causes.data()[i], true},
                     constants.data() + i * K, K);
}

NewArray<bool> keys_contained(const KeySet& set, const Array<uint64_t>& keys) {
    NewArray<bool> found(keys.size());
    for (py::ssize_t i = 0; i < keys.size(); ++i)
        found.mutable_data()[i] = set.contains(keys.data()[i]);
    return found;
}

void insert_keys(KeySet& set, const Array<uint64_t>& keys) {
    for (py::ssize_t i = 0; i < keys.size(); ++i) set.insert(keys.data()[i]);
}

NewArray<uint64_t> sorted_keys(const KeySet& set) {
    const std::vector<uint64_t> keys = set.sorted();
    return NewArray<uint64_t>(keys.size(), keys.data());
}

}  // namespace

void bind_cache(py::module_& m) {
    m.def("first_rows", &first_rows_of, py::arg("keys"),
          "For each row the first row with the same key: (B,) uint64 -> (B,) int32.");
    py::class_<RewardCache>(m, "RewardCache", "Key -> reward, cause, node, counters; bounded.")
        .def(py::init<size_t>(), py::arg("max_bytes"))
        .def("lookup", &cache_lookup, py::arg("keys"),
             "-> found, rewards, cause, node, each (B,), constants (B, K).")
        .def("insert", &cache_insert, py::arg("keys"), py::arg("rewards"), py::arg("cause"),
             py::arg("node"), py::arg("iteration"), py::arg("constants") = py::none())
        .def("contains", &cache_contains, py::arg("keys"), "Expired ones too, (B,) bool.")
        .def("expire_before", &RewardCache::expire_before, py::arg("iteration"),
             "Forget the rewards of earlier iterations, but not the counters.")
        .def("count", &cache_count, py::arg("keys"), py::arg("on_policy"),
             "Count one more appearance of each key.")
        .def("counts", &cache_counts, py::arg("keys"), "-> on-policy and off-policy, each (B,).")
        .def("clear", &RewardCache::clear)
        .def("__len__", &RewardCache::size)
        .def_property_readonly("n_bytes", &RewardCache::n_bytes)
        .def("state", &cache_state, "All entries as a dict of arrays, ordered by key.")
        .def("load_state", &cache_load, py::arg("state"));
    py::class_<KeySet>(m, "KeySet", "Keys without end; nothing is forgotten.")
        .def(py::init<>())
        .def("contains", &keys_contained, py::arg("keys"), "(B,) uint64 -> (B,) bool.")
        .def("insert", &insert_keys, py::arg("keys"))
        .def("__len__", &KeySet::size)
        .def("sorted", &sorted_keys, "All keys, ascending.");
}

}  // namespace dso::bindings
