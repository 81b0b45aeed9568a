// Files as memory: pages of the system's cache, read when they are touched and shared with other processes.
#pragma once
#include <cstdint>
#include <string>

namespace tracer {

struct Mapping {
  uint8_t* data;
  int64_t size;
};

// Maps the whole open file behind a descriptor for reading; a negative number and `error` where that fails, else the mapping's number.
int32_t openMapping(int descriptor, const std::string& path, std::string& error);
void closeMapping(int32_t id);
// Takes the whole pages of a range out of this process' memory; they come back from the file when they are touched.
void forgetPages(int32_t id, int64_t offset, int64_t bytes);
// Null where there is no such mapping.
const Mapping* mappingOf(int32_t id);

// A file that became shorter while it was mapped has no bytes behind its end: reading there gives zeros instead of ending
// the process, and its path is told here, once. Whoever multiplied meanwhile has a wrong result and must say so.
bool takeCutFile(std::string& path);

}  // namespace tracer
