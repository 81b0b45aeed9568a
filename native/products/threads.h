// Work of one product on all cores: tasks are taken in order by whichever thread is free.
#pragma once
#include <cstdint>
#include <functional>

namespace tracer {

// Threads that work on one product, the calling one included. TRACER_THREADS sets another number.
int threadCount();

// Calls task(i) once for each i in [0, count), on all threads; returns when all are done. A task must not throw.
// Which thread does a task must not change its result.
void parallel(int64_t count, const std::function<void(int64_t)>& task);

}  // namespace tracer
