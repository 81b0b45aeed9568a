// The addon: stored matrices by number for JavaScript, and TensorFlow ops that read them or meet a few rows of a matrix, so that
// activations and results stay TensorFlow's tensors.
#include <node_api.h>

#include <atomic>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "mapping.h"
#include "product.h"
#include "sparse.h"
#include "tensorflow/c/kernels.h"
#include "tensorflow/c/ops.h"
#include "tensorflow/c/tf_tensor.h"
#include "threads.h"

namespace tracer {
namespace {

std::mutex mutex;
std::map<int32_t, Matrix> matrices;
int32_t nextMatrix = 0;

bool find(int32_t id, Matrix& found) {
  std::lock_guard<std::mutex> lock(mutex);
  const auto entry = matrices.find(id);
  if (entry == matrices.end()) return false;
  found = entry->second;
  return true;
}

// ---- TensorFlow

struct DeleteTensor {
  void operator()(TF_Tensor* tensor) const { TF_DeleteTensor(tensor); }
};
using Tensor = std::unique_ptr<TF_Tensor, DeleteTensor>;
struct DeleteStatus {
  void operator()(TF_Status* status) const { TF_DeleteStatus(status); }
};
using Status = std::unique_ptr<TF_Status, DeleteStatus>;

struct Options {
  bool flag;  // `transpose` of a product, `columns` of a gather
};

void* createKernel(TF_OpKernelConstruction* construction) {
  const Status status(TF_NewStatus());
  unsigned char flag = 0;
  TF_OpKernelConstruction_GetAttrBool(construction, "flag", &flag, status.get());
  if (TF_GetCode(status.get()) != TF_OK) TF_OpKernelConstruction_Failure(construction, status.get());
  return new Options{flag != 0};
}

void deleteKernel(void* kernel) { delete static_cast<Options*>(kernel); }

void fail(TF_OpKernelContext* context, TF_Code code, const std::string& message) {
  const Status status(TF_NewStatus());
  TF_SetStatus(status.get(), code, message.c_str());
  TF_OpKernelContext_Failure(context, status.get());
}

Tensor input(TF_OpKernelContext* context, int index) {
  const Status status(TF_NewStatus());
  TF_Tensor* tensor = nullptr;
  TF_GetInput(context, index, &tensor, status.get());
  return Tensor(tensor);
}

// Both types have four bytes.
void* allocateOutput(TF_OpKernelContext* context, int index, TF_DataType type, int64_t rows, int64_t columns,
                     Tensor& output) {
  const Status status(TF_NewStatus());
  const int64_t shape[2] = {rows, columns};
  const size_t bytes = static_cast<size_t>(rows * columns) * sizeof(float);
  output.reset(TF_AllocateOutput(context, index, type, shape, 2, bytes, status.get()));
  if (TF_GetCode(status.get()) == TF_OK) return TF_TensorData(output.get());
  TF_OpKernelContext_Failure(context, status.get());
  return nullptr;
}

float* allocate(TF_OpKernelContext* context, int64_t rows, int64_t columns, Tensor& output) {
  return static_cast<float*>(allocateOutput(context, 0, TF_FLOAT, rows, columns, output));
}

// The matrix of an input that holds its number.
bool matrixOf(TF_OpKernelContext* context, int index, Matrix& matrix) {
  const Tensor number = input(context, index);
  if (number && find(*static_cast<int32_t*>(TF_TensorData(number.get())), matrix)) return true;
  fail(context, TF_INVALID_ARGUMENT, "a stored matrix was used after it was freed");
  return false;
}

void refuseCutFile(TF_OpKernelContext* context) {
  std::string path;
  if (takeCutFile(path)) fail(context, TF_DATA_LOSS, "TRACER_CUT_FILE " + path);
}

void computeProduct(void* kernel, TF_OpKernelContext* context) {
  const bool transpose = static_cast<Options*>(kernel)->flag;
  Matrix w;
  if (!matrixOf(context, 1, w)) return;
  const Tensor x = input(context, 0);
  const int64_t n = TF_Dim(x.get(), 0);
  const int64_t inner = transpose ? w.columns : w.rows;
  if (TF_NumDims(x.get()) != 2 || TF_Dim(x.get(), 1) != inner) {
    fail(context, TF_INVALID_ARGUMENT, "the inner dimensions of a product with a stored matrix differ");
    return;
  }
  Tensor output;
  float* const y = allocate(context, n, transpose ? w.rows : w.columns, output);
  if (!y) return;
  product(static_cast<const float*>(TF_TensorData(x.get())), n, w, transpose, y);
  refuseCutFile(context);
}

void computeGather(void* kernel, TF_OpKernelContext* context) {
  const bool columns = static_cast<Options*>(kernel)->flag;
  Matrix w;
  if (!matrixOf(context, 1, w)) return;
  const Tensor picked = input(context, 0);
  const int64_t n = TF_TensorElementCount(picked.get());
  const int32_t* const indices = static_cast<const int32_t*>(TF_TensorData(picked.get()));
  const int64_t limit = columns ? w.columns : w.rows;
  for (int64_t i = 0; i < n; i++) {
    if (indices[i] >= 0 && indices[i] < limit) continue;
    fail(context, TF_OUT_OF_RANGE, "row " + std::to_string(indices[i]) + " of " + std::to_string(limit));
    return;
  }
  Tensor output;
  float* const out = allocate(context, n, columns ? w.rows : w.columns, output);
  if (!out) return;
  if (columns) gatherColumns(w, indices, n, out);
  else gatherRows(w, indices, n, out);
  refuseCutFile(context);
}

const float* floatsOf(const Tensor& tensor) { return static_cast<const float*>(TF_TensorData(tensor.get())); }

bool isMatrix(const Tensor& tensor) { return tensor && TF_NumDims(tensor.get()) == 2; }

// [n, m] of values and indices; the values may be of another op. False where they do not fit matrices of `rows` rows.
bool sparseRows(TF_OpKernelContext* context, const float* values, const Tensor& indices, int64_t rows, SparseRows& of) {
  if (!isMatrix(indices)) {
    fail(context, TF_INVALID_ARGUMENT, "a matrix of row numbers is expected");
    return false;
  }
  of = {values, static_cast<const int32_t*>(TF_TensorData(indices.get())), TF_Dim(indices.get(), 0),
        TF_Dim(indices.get(), 1)};
  for (int64_t i = 0; i < of.n * of.m; i++) {
    if (of.indices[i] >= 0 && of.indices[i] < rows) continue;
    fail(context, TF_OUT_OF_RANGE, "row " + std::to_string(of.indices[i]) + " of " + std::to_string(rows));
    return false;
  }
  return true;
}

// values [n, m], indices [n, m], W [rows, columns]
void computeWeightedSum(void*, TF_OpKernelContext* context) {
  const Tensor values = input(context, 0), indices = input(context, 1), w = input(context, 2);
  SparseRows of;
  if (!sparseRows(context, floatsOf(values), indices, TF_Dim(w.get(), 0), of)) return;
  const int64_t columns = TF_Dim(w.get(), 1);
  Tensor output;
  float* const y = allocate(context, of.n, columns, output);
  if (y) weightedSum(of, floatsOf(w), columns, y);
}

// g [n, columns], indices [n, m], W [rows, columns]
void computeRowDots(void*, TF_OpKernelContext* context) {
  const Tensor g = input(context, 0), indices = input(context, 1), w = input(context, 2);
  SparseRows of;
  if (!sparseRows(context, nullptr, indices, TF_Dim(w.get(), 0), of)) return;
  Tensor output;
  float* const y = allocate(context, of.n, of.m, output);
  if (y) rowDots(of, floatsOf(g), floatsOf(w), TF_Dim(w.get(), 1), y);
}

// values [n, m], indices [n, m], x [n, columns], rows
void computeScatteredSum(void*, TF_OpKernelContext* context) {
  const Tensor values = input(context, 0), indices = input(context, 1), x = input(context, 2), number = input(context, 3);
  const int64_t rows = *static_cast<int32_t*>(TF_TensorData(number.get()));
  SparseRows of;
  if (!sparseRows(context, floatsOf(values), indices, rows, of)) return;
  const int64_t columns = TF_Dim(x.get(), 1);
  Tensor output;
  float* const y = allocate(context, rows, columns, output);
  if (y) scatteredSum(of, floatsOf(x), columns, rows, y);
}

// x [n, columns], m
void computeLargest(void*, TF_OpKernelContext* context) {
  const Tensor x = input(context, 0), number = input(context, 1);
  const int64_t m = *static_cast<int32_t*>(TF_TensorData(number.get()));
  if (!isMatrix(x) || m < 1 || m > TF_Dim(x.get(), 1)) {
    fail(context, TF_INVALID_ARGUMENT, "a matrix with " + std::to_string(m) + " columns at least is expected");
    return;
  }
  const int64_t n = TF_Dim(x.get(), 0);
  Tensor values, indices;
  float* const y = allocate(context, n, m, values);
  if (!y) return;
  auto* const at = static_cast<int32_t*>(allocateOutput(context, 1, TF_INT32, n, m, indices));
  if (at) largest(floatsOf(x), n, TF_Dim(x.get(), 1), m, y, at);
}

void unknownShape(TF_ShapeInferenceContext* context, TF_Status* status) {
  TF_ShapeInferenceContextSetUnknownShape(context, status);
}

struct Op {
  const char* name;
  std::vector<const char*> inputs;
  std::vector<const char*> outputs;
  void (*compute)(void*, TF_OpKernelContext*);
};

// False where TensorFlow refuses an op or its kernel.
bool registerOp(const Op& op) {
  const Status status(TF_NewStatus());
  TF_OpDefinitionBuilder* const definition = TF_NewOpDefinitionBuilder(op.name);
  for (const char* each : op.inputs) TF_OpDefinitionBuilderAddInput(definition, each);
  for (const char* each : op.outputs) TF_OpDefinitionBuilderAddOutput(definition, each);
  TF_OpDefinitionBuilderAddAttr(definition, "flag: bool = false");
  TF_OpDefinitionBuilderSetIsStateful(definition, true);  // what a number stands for changes: results must not be reused
  TF_OpDefinitionBuilderSetShapeInferenceFunction(definition, unknownShape);
  TF_RegisterOpDefinition(definition, status.get());
  if (TF_GetCode(status.get()) != TF_OK) return false;
  TF_KernelBuilder* const kernel = TF_NewKernelBuilder(op.name, "CPU", createKernel, op.compute, deleteKernel);
  TF_RegisterKernelBuilder(op.name, kernel, status.get());
  return TF_GetCode(status.get()) == TF_OK;
}

bool registerOps() {
  const char *matrix = "matrix: int32", *values = "values: float", *indices = "indices: int32", *y = "y: float";
  const Op ops[] = {
      {"TracerProduct", {"x: float", matrix}, {y}, computeProduct},
      {"TracerGather", {indices, matrix}, {y}, computeGather},
      {"TracerWeightedSum", {values, indices, "w: float"}, {y}, computeWeightedSum},
      {"TracerRowDots", {"g: float", indices, "w: float"}, {y}, computeRowDots},
      {"TracerScatteredSum", {values, indices, "x: float", "rows: int32"}, {y}, computeScatteredSum},
      {"TracerLargest", {"x: float", "m: int32"}, {y, "at: int32"}, computeLargest},
  };
  for (const Op& op : ops)
    if (!registerOp(op)) return false;
  return true;
}

// ---- JavaScript

napi_value throwError(napi_env env, const std::string& message) {
  napi_throw_error(env, nullptr, message.c_str());
  return nullptr;
}

template <int N>
void arguments(napi_env env, napi_callback_info info, napi_value (&values)[N]) {
  size_t count = N;
  napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
}

int64_t integer(napi_env env, napi_value value) {
  int64_t number = -1;
  napi_get_value_int64(env, value, &number);
  return number;
}

napi_value numberValue(napi_env env, int64_t number) {
  napi_value value;
  napi_create_int64(env, number, &value);
  return value;
}

// mapFile(descriptor, path): the mapping's number. The path is for messages.
napi_value mapFile(napi_env env, napi_callback_info info) {
  napi_value args[2];
  arguments(env, info, args);
  size_t length = 0;
  if (napi_get_value_string_utf8(env, args[1], nullptr, 0, &length) != napi_ok) return throwError(env, "path expected");
  std::string path(length + 1, '\0');
  napi_get_value_string_utf8(env, args[1], &path[0], length + 1, &length);
  path.resize(length);
  std::string error;
  const int32_t id = openMapping(static_cast<int>(integer(env, args[0])), path, error);
  return id < 0 ? throwError(env, error) : numberValue(env, id);
}

// unmapFile(mapping). Its matrices must be freed before.
napi_value unmapFile(napi_env env, napi_callback_info info) {
  napi_value args[1];
  arguments(env, info, args);
  closeMapping(static_cast<int32_t>(integer(env, args[0])));
  return nullptr;
}

// forgetPages(mapping, offset, bytes)
napi_value forget(napi_env env, napi_callback_info info) {
  napi_value args[3];
  arguments(env, info, args);
  forgetPages(static_cast<int32_t>(integer(env, args[0])), integer(env, args[1]), integer(env, args[2]));
  return nullptr;
}

// addMatrix(mapping | Uint8Array, offset, rows, columns, type): the matrix' number. Bytes of an array stay the caller's, who
// keeps it as long as the matrix.
napi_value addMatrix(napi_env env, napi_callback_info info) {
  napi_value args[5];
  arguments(env, info, args);
  const int64_t offset = integer(env, args[1]);
  const int64_t typeNumber = integer(env, args[4]);
  if (typeNumber < 0 || typeNumber >= kTypes) return throwError(env, "a type of stored matrices is expected");
  const Type type = static_cast<Type>(typeNumber);
  Matrix matrix{nullptr, integer(env, args[2]), integer(env, args[3]), type};
  const uint8_t* data = nullptr;
  int64_t size = 0;
  bool isArray = false;
  napi_is_typedarray(env, args[0], &isArray);
  if (isArray) {
    size_t length = 0;
    void* bytes = nullptr;
    napi_get_typedarray_info(env, args[0], nullptr, &length, &bytes, nullptr, nullptr);
    data = static_cast<const uint8_t*>(bytes);
    size = static_cast<int64_t>(length);
  } else if (const Mapping* mapping = mappingOf(static_cast<int32_t>(integer(env, args[0])))) {
    data = mapping->data;
    size = mapping->size;
  }
  if (!data || offset < 0 || matrix.rows < 0 || matrix.columns < 0 || matrix.columns % blockOf(type).numbers != 0 ||
      offset + matrix.rows * matrix.rowBytes() > size)
    return throwError(env, "a matrix is expected to lie within its bytes");
  matrix.data = data + offset;
  std::lock_guard<std::mutex> lock(mutex);
  matrices[nextMatrix] = matrix;
  return numberValue(env, nextMatrix++);
}

napi_value removeMatrix(napi_env env, napi_callback_info info) {
  napi_value args[1];
  arguments(env, info, args);
  std::lock_guard<std::mutex> lock(mutex);
  matrices.erase(static_cast<int32_t>(integer(env, args[0])));
  return nullptr;
}

void define(napi_env env, napi_value exports, const char* name, napi_callback callback) {
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function);
  napi_set_named_property(env, exports, name, function);
}

}  // namespace
}  // namespace tracer

NAPI_MODULE_INIT() {
  using namespace tracer;
  static const bool isRegistered = registerOps();
  if (!isRegistered) return throwError(env, "TensorFlow refused the ops of this addon");
  define(env, exports, "mapFile", mapFile);
  define(env, exports, "unmapFile", unmapFile);
  define(env, exports, "forgetPages", forget);
  define(env, exports, "addMatrix", addMatrix);
  define(env, exports, "removeMatrix", removeMatrix);
  napi_value name;
  napi_create_string_utf8(env, kernelName(chosenKernel()), NAPI_AUTO_LENGTH, &name);
  napi_set_named_property(env, exports, "kernel", name);
  return exports;
}
