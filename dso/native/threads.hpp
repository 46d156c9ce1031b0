// Run a loop over items on several threads.
#pragma once
#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace dso {

// Calls body(worker, begin, end) for chunks of [0, n_items). Threads live for one call: nothing has
// to survive a fork, and starting one costs microseconds against milliseconds of a batch.
template <class Body>
void parallel_for(size_t n_items, size_t n_threads, size_t chunk, Body body) {
    const size_t n_chunks = (n_items + chunk - 1) / chunk;
    n_threads = std::max<size_t>(1, std::min(n_threads, n_chunks));
    if (n_threads == 1) {
        if (n_items) body(size_t{0}, size_t{0}, n_items);
        return;
    }
    std::atomic<size_t> next{0};
    std::exception_ptr failure;
    std::mutex failure_lock;
    const auto work = [&](size_t worker) {
        try {
            for (size_t c; (c = next.fetch_add(1)) < n_chunks;)
                body(worker, c * chunk, std::min(n_items, (c + 1) * chunk));
        } catch (...) {
            const std::lock_guard<std::mutex> guard(failure_lock);
            failure = std::current_exception();
        }
    };
    std::vector<std::thread> threads;
    try {
        for (size_t worker = 1; worker < n_threads; ++worker) threads.emplace_back(work, worker);
    } catch (const std::system_error&) {  // no more threads to be had: those there do it all
    }
    work(0);
    for (auto& thread : threads) thread.join();
    if (failure) std::rethrow_exception(failure);
}

// How many items a thread takes at a time, where one takes `n_rows` steps: few of those that are
// long, so that no thread is left with the last of them.
inline size_t chunk_size(size_t most, size_t n_rows) {
    constexpr size_t kRowsPerItem = 4096;
    return std::max<size_t>(1, std::min(most, most * kRowsPerItem / std::max<size_t>(1, n_rows)));
}

}  // namespace dso
