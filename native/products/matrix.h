// A parameter as it is stored: a row-major matrix over memory that somebody else owns.
#pragma once
#include <cstdint>

namespace tracer {

// The numbers are those of TYPE_NUMBERS in src/backend/tensorflow/products-addon.ts. Types from Q4_0 on are packed.
enum class Type : int32_t {
  Float32 = 0,
  Bfloat16 = 1,
  Float16 = 2,
  Q4_0 = 3,
  Q4_1 = 4,
  Q5_0 = 5,
  Q5_1 = 6,
  Q8_0 = 7,
  Q4_K = 8,
  Q5_K = 9,
  Q6_K = 10,
  MXFP4 = 11,
};
constexpr int32_t kTypes = 12;

constexpr bool isPacked(Type type) { return type >= Type::Q4_0; }

// Numbers that are stored together, and their bytes. A row consists of whole blocks.
struct Block {
  int64_t numbers;
  int64_t bytes;
};

constexpr Block blockOf(Type type) {
  switch (type) {
    case Type::Float32: return {1, 4};
    case Type::Bfloat16:
    case Type::Float16: return {1, 2};
    case Type::Q4_0: return {32, 18};
    case Type::Q4_1: return {32, 20};
    case Type::Q5_0: return {32, 22};
    case Type::Q5_1: return {32, 24};
    case Type::Q8_0: return {32, 34};
    case Type::Q4_K: return {256, 144};
    case Type::Q5_K: return {256, 176};
    case Type::Q6_K: return {256, 210};
    case Type::MXFP4: return {32, 17};
  }
  return {1, 4};
}

// Of types that are not packed.
constexpr int64_t elementBytes(Type type) { return blockOf(type).bytes; }

constexpr int64_t bytesOfRow(Type type, int64_t columns) { return columns / blockOf(type).numbers * blockOf(type).bytes; }

struct Matrix {
  const uint8_t* data;  // any alignment
  int64_t rows;
  int64_t columns;
  Type type;

  int64_t rowBytes() const { return bytesOfRow(type, columns); }
  const uint8_t* row(int64_t index) const { return data + index * rowBytes(); }
};

}  // namespace tracer
